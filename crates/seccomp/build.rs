//! Turns profiles/seccomp/default.json into Rust statics, so that the default filter costs no
//! parsing at run time and a mistake in it stops the build, and compiles it for the capability sets
//! that containers usually have. What the rules mean is said in that file and in src/rules.rs;
//! this script checks only names and shapes. A test compares its programs with the library's.

// The compiler itself, so that programs made here are those it would make at run time.
#[allow(dead_code, unreachable_pub)]
#[path = "src/arch/mod.rs"]
mod arch;
#[allow(dead_code, unreachable_pub)]
#[path = "src/bpf.rs"]
mod bpf;
#[allow(dead_code, unreachable_pub)]
#[path = "src/codegen.rs"]
mod codegen;
#[allow(dead_code, unreachable_pub)]
#[path = "src/compile.rs"]
mod compile;
#[allow(dead_code, unreachable_pub)]
#[path = "src/model.rs"]
mod model;
#[allow(dead_code, unreachable_pub)]
#[path = "src/order.rs"]
mod order;
#[path = "src/parts.rs"]
mod parts;

use arch::{Arch, NameId};
use model::{Action, Filter, Flags, Op, Rule, RuleOrder};
use serde::Deserialize;
use std::collections::BTreeMap;
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
    restricted: Vec<Group>,
    features: Vec<JsonFeature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFeature {
    name: String,
    comment: String,
    #[serde(default)]
    architectures: BTreeMap<String, Vec<String>>,
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
    args: Vec<JsonArg>,
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonArg {
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

/// Capability sets whose programs are made here: none that matters to the filter (casemate's
/// hardened profile, CRI-O), podman's, and docker's without and with CAP_NET_RAW.
const USUAL_CAPS: [&[&str]; 4] = [
    &[],
    &["CAP_SYS_CHROOT"],
    &["CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE"],
    &["CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_NET_RAW"],
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=src");
    let source = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join(SOURCE);
    let text = std::fs::read_to_string(&source)
        .map_err(|error| format!("cannot read {}: {error}", source.display()))?;
    let profile: Profile =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", source.display()))?;
    let mut out = String::new();
    write_rules(&mut out, &profile)?;
    write_features(&mut out, &profile.features)?;
    write_programs(&mut out, &profile)?;
    let file = PathBuf::from(std::env::var("OUT_DIR")?).join("default_rules.rs");
    std::fs::write(file, out)?;
    Ok(())
}

fn write_rules(out: &mut String, profile: &Profile) -> Result<(), Box<dyn Error>> {
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let bad_arch = action(&profile.bad_arch_action, None)?;
    writeln!(out, "pub(crate) const DEFAULT_ACTION: Action = Action::{default:?};")?;
    writeln!(out, "pub(crate) const BAD_ARCH_ACTION: Action = Action::{bad_arch:?};")?;
    for (name, groups) in [("RULES", &profile.syscalls), ("RESTRICTED", &profile.restricted)] {
        writeln!(out, "pub(crate) static {name}: &[DefaultRule] = &[")?;
        write_groups(out, groups)?;
        writeln!(out, "];")?;
    }
    Ok(())
}

fn write_groups(out: &mut String, groups: &[Group]) -> Result<(), Box<dyn Error>> {
    for group in groups {
        write_group(out, group).map_err(|error| format!("{:?}: {error}", group.names))?;
    }
    Ok(())
}

fn write_features(out: &mut String, features: &[JsonFeature]) -> Result<(), Box<dyn Error>> {
    writeln!(out, "pub(crate) static FEATURES: &[Feature] = &[")?;
    for JsonFeature { name, comment, architectures, syscalls } in features {
        write!(out, "Feature {{ name: {name:?}, comment: {comment:?}, archs: &[")?;
        for (of, others) in architectures {
            for other in others {
                let (of, other) = (Arch::from_scmp_name(of)?, Arch::from_scmp_name(other)?);
                write!(out, "(Arch::{of:?}, Arch::{other:?}), ")?;
            }
        }
        writeln!(out, "], rules: &[")?;
        write_groups(out, syscalls)?;
        writeln!(out, "] }},")?;
    }
    writeln!(out, "];")?;
    Ok(())
}

fn write_group(out: &mut String, group: &Group) -> Result<(), Box<dyn Error>> {
    let action = action(&group.action, group.errno_ret)?;
    let comment = &group.comment;
    let id = |name: &String| NameId::of(name).ok_or_else(|| format!("unknown system call {name}"));
    let ids = group.names.iter().map(id).collect::<Result<Vec<_>, _>>()?;
    write!(out, "DefaultRule {{ comment: {comment:?}, action: Action::{action:?}, ")?;
    write!(out, "ids: &{ids:?}, caps: {:#x}, arches: &[", cap_mask(&group.caps)?)?;
    for name in &group.arches {
        write!(out, "Arch::{:?}, ", Arch::from_scmp_name(name)?)?;
    }
    write!(out, "], args: &[")?;
    for arg in &group.args {
        let model::Arg { index, value, value_two, op } = arg.to_arg()?;
        write!(
            out,
            "Arg {{ index: {index}, value: {value}, value_two: {value_two}, op: Op::{op:?} }}, "
        )?;
    }
    writeln!(out, "] }},")?;
    Ok(())
}

fn write_programs(out: &mut String, profile: &Profile) -> Result<(), Box<dyn Error>> {
    let mut relevant = 0;
    for group in profile.restricted.iter().chain(&profile.syscalls) {
        relevant |= cap_mask(&group.caps)?;
    }
    writeln!(out, "pub(crate) const RELEVANT_CAPS: CapMask = {relevant:#x};")?;
    writeln!(out, "pub(crate) static PRECOMPILED: &[Precompiled] = &[")?;
    if let Some(arch) = target() {
        for caps in USUAL_CAPS {
            let names: Vec<String> = caps.iter().map(|name| (*name).to_owned()).collect();
            write_program(out, profile, (arch, false, cap_mask(&names)?))?;
        }
        write_program(out, profile, (arch, true, 0))?;
    }
    writeln!(out, "];")?;
    Ok(())
}

/// The architecture the crate is built for, if it is one that casemate is tested on.
fn target() -> Option<Arch> {
    match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => Some(Arch::X86_64),
        Ok("aarch64") => Some(Arch::Aarch64),
        _ => None,
    }
}

fn write_program(
    out: &mut String,
    profile: &Profile,
    key: (Arch, bool, u64),
) -> Result<(), Box<dyn Error>> {
    let (arch, restricted, caps) = key;
    let whole = filter(profile, key)?;
    write!(out, "((Arch::{arch:?}, {restricted}, {caps:#x}), ")?;
    write_insns(out, &whole, arch)?;
    write!(out, ", [")?;
    for part in parts::split(&whole) {
        write_insns(out, &part, arch)?;
        write!(out, ", ")?;
    }
    writeln!(out, "]),")?;
    Ok(())
}

fn write_insns(out: &mut String, filter: &Filter<'_>, arch: Arch) -> Result<(), Box<dyn Error>> {
    write!(out, "&[")?;
    for bpf::Insn { code, jt, jf, k } in compile::compile(filter, arch)?.program.insns() {
        write!(out, "Insn {{ code: {code}, jt: {jt}, jf: {jf}, k: {k} }}, ")?;
    }
    write!(out, "]")?;
    Ok(())
}

/// The same choice of rules as `default_filter`, from the file instead of the statics.
fn filter(
    profile: &Profile,
    (arch, restricted, caps): (Arch, bool, u64),
) -> Result<Filter<'static>, Box<dyn Error>> {
    let mut rules = Vec::new();
    let first: &[Group] = if restricted { &profile.restricted } else { &[] };
    for group in first.iter().chain(&profile.syscalls) {
        let here = group.arches.is_empty() || group.arches.iter().any(|it| it == arch.scmp_name());
        if !here || cap_mask(&group.caps)? & !caps != 0 {
            continue;
        }
        rules.push(Rule {
            names: group.names.iter().cloned().map(Into::into).collect(),
            action: action(&group.action, group.errno_ret)?,
            args: group.args.iter().map(JsonArg::to_arg).collect::<Result<_, _>>()?,
        });
    }
    Ok(Filter {
        default_action: action(&profile.default_action, profile.default_errno_ret)?,
        bad_arch_action: action(&profile.bad_arch_action, None)?,
        archs: Vec::new(),
        rules,
        flags: Flags::default(),
        order: RuleOrder::FirstMatch,
        enosys_tail: false,
    })
}

impl JsonArg {
    fn to_arg(&self) -> Result<model::Arg, model::ParseError> {
        let op = Op::from_scmp_name(&self.op)?;
        Ok(model::Arg { index: self.index, value: self.value, value_two: self.value_two, op })
    }
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, model::ParseError> {
    Action::from_scmp_name(name, errno.map(u32::from))
}

fn cap_mask(names: &[String]) -> Result<u64, String> {
    names.iter().try_fold(0, |mask, name| {
        let bit = CAPS.iter().position(|known| known == name);
        bit.map(|bit| mask | 1 << bit).ok_or_else(|| format!("unknown capability {name}"))
    })
}
