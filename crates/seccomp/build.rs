//! Turns profiles/seccomp/default.json into Rust statics, so that the default filter costs no
//! parsing at run time and a mistake in it stops the build. What the rules mean is said in that
//! file and in src/default.rs; this script checks only names and shapes.

use serde::Deserialize;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const SOURCE: &str = "../../profiles/seccomp/default.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Profile {
    #[serde(rename = "comment")]
    _comment: Vec<String>,
    default_action: String,
    default_errno_ret: Option<u16>,
    bad_arch_action: String,
    syscalls: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Group {
    comment: String,
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Vec<Arg>,
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Arg {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// Capabilities in the order of their numbers (include/uapi/linux/capability.h).
const CAPS: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let source = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join(SOURCE);
    let text = std::fs::read_to_string(&source)
        .map_err(|error| format!("cannot read {}: {error}", source.display()))?;
    let profile: Profile =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", source.display()))?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("default_rules.rs");
    std::fs::write(out, write_profile(&profile)?)?;
    Ok(())
}

fn write_profile(profile: &Profile) -> Result<String, Box<dyn Error>> {
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let bad_arch = action(&profile.bad_arch_action, None)?;
    let mut out = String::new();
    writeln!(out, "const DEFAULT_ACTION: Action = {default};")?;
    writeln!(out, "const BAD_ARCH_ACTION: Action = {bad_arch};")?;
    writeln!(out, "static RULES: &[DefaultRule] = &[")?;
    for group in &profile.syscalls {
        write_group(&mut out, group).map_err(|error| format!("{:?}: {error}", group.names))?;
    }
    writeln!(out, "];")?;
    Ok(out)
}

fn write_group(out: &mut String, group: &Group) -> Result<(), Box<dyn Error>> {
    let action = action(&group.action, group.errno_ret)?;
    let (comment, names) = (&group.comment, &group.names);
    write!(out, "DefaultRule {{ comment: {comment:?}, action: {action}, names: &{names:?}, ")?;
    write!(out, "caps: {:#x}, arches: &[", cap_mask(&group.caps)?)?;
    for arch in &group.arches {
        write!(out, "Arch::{}, ", arch_variant(arch)?)?;
    }
    write!(out, "], args: &[")?;
    for arg in &group.args {
        let Arg { index, value, value_two, op } = arg;
        let op = op_variant(op)?;
        write!(
            out,
            "Arg {{ index: {index}, value: {value}, value_two: {value_two}, op: Op::{op} }}, "
        )?;
    }
    writeln!(out, "] }},")?;
    Ok(())
}

fn cap_mask(names: &[String]) -> Result<u64, String> {
    names.iter().try_fold(0, |mask, name| {
        let bit = CAPS.iter().position(|known| known == name);
        bit.map(|bit| mask | 1 << bit).ok_or_else(|| format!("unknown capability {name}"))
    })
}

fn action(name: &str, errno: Option<u16>) -> Result<String, String> {
    match (name, errno) {
        ("SCMP_ACT_ERRNO", Some(errno)) => Ok(format!("Action::Errno({errno})")),
        ("SCMP_ACT_ALLOW", None) => Ok("Action::Allow".to_owned()),
        ("SCMP_ACT_KILL_PROCESS", None) => Ok("Action::KillProcess".to_owned()),
        _ => Err(format!("action {name} with errno {errno:?} is not for the default filter")),
    }
}

fn op_variant(name: &str) -> Result<&'static str, String> {
    match name {
        "SCMP_CMP_EQ" => Ok("Eq"),
        "SCMP_CMP_MASKED_EQ" => Ok("MaskedEq"),
        _ => Err(format!("operator {name} is not for the default filter")),
    }
}

fn arch_variant(name: &str) -> Result<&'static str, String> {
    match name {
        "SCMP_ARCH_MIPS" => Ok("Mips"),
        "SCMP_ARCH_MIPS64" => Ok("Mips64"),
        "SCMP_ARCH_MIPS64N32" => Ok("Mips64N32"),
        "SCMP_ARCH_MIPSEL" => Ok("Mipsel"),
        "SCMP_ARCH_MIPSEL64" => Ok("Mipsel64"),
        "SCMP_ARCH_MIPSEL64N32" => Ok("Mipsel64N32"),
        "SCMP_ARCH_S390" => Ok("S390"),
        "SCMP_ARCH_S390X" => Ok("S390X"),
        _ => Err(format!("architecture {name} is not told apart by the default filter")),
    }
}
