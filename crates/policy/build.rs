//! Turns the values of profiles/*.toml into constants, so that a start parses nothing and a mistake in a file stops the
//! build. What a value means is said in that file and at the field of `Profile`; this script knows only names and kinds.
//!
//! The section `[controls]` is not read: it is made from the controls' rows (`hack/docs --write`).

// Their names, so that there is one list.
#[allow(dead_code, unreachable_pub)]
#[path = "src/spec/capability.rs"]
mod capability;

use capability::Capability;
use std::error::Error;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

type Result<T> = std::result::Result<T, String>;

/// Each profile, and the one that has the values which its file leaves out.
const PROFILES: [(&str, Option<&str>); 4] = [
    ("privileged", Some("baseline")),
    ("baseline", Some("hardened")),
    ("hardened", None),
    ("restricted", Some("hardened")),
];

/// A value of a file, the field of `Profile` that it is, and how it is written in Rust.
type Field = (&'static str, &'static str, fn(&Value) -> Option<String>);

const FIELDS: [Field; 15] = [
    ("fail_closed", "fail_closed", boolean),
    ("capabilities.ceiling", "capability_ceiling", capabilities),
    ("rlimits.core", "core_limit", number),
    ("rlimits.nofile", "nofile_limit", pair),
    ("rlimits.memlock", "memlock_limit", pair),
    ("seccomp.stack", "stack_filter", boolean),
    ("seccomp.strict", "strict_filter", boolean),
    ("root.tmpfs", "tmpfs", places),
    ("paths.masked", "masked_paths", texts),
    ("paths.readonly", "readonly_paths", texts),
    ("paths.unmasked_in_userns", "unmasked_in_userns", boolean),
    ("pids.limit", "pids_limit", number),
    ("process.root_in_userns", "root_in_userns", boolean),
    ("mounts.noexec", "noexec_volumes", boolean),
    ("sysctls.safe", "sysctls", parameters),
];

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    let mut code = String::new();
    for (name, base) in PROFILES {
        let file = top.join(name).with_extension("toml");
        println!("cargo::rerun-if-changed={}", file.display());
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("read {}: {error}", file.display()))?;
        code +=
            &constant(name, base, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/spec/capability.rs");
    let out: PathBuf = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?.into();
    std::fs::write(out.join("profiles.rs"), code)?;
    Ok(())
}

/// The constant of a profile. One without a base that leaves a value out does not compile.
///
/// # Errors
/// A file that cannot be read, names another profile, or has a value that is unknown or of another kind.
pub(crate) fn constant(name: &str, base: Option<&str>, text: &str) -> Result<String> {
    let mut file: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    if file.remove("name").as_ref().and_then(Value::as_str) != Some(name) {
        return Err(format!("`name` must be {name:?}"));
    }
    file.remove("controls").ok_or("there is no section [controls]")?;
    let mut code = format!(
        "pub(super) const {}: Profile = Profile {{ name: ProfileName::{},\n",
        name.to_uppercase(),
        name[..1].to_uppercase() + &name[1..],
    );
    for (key, value) in values(file) {
        let known = FIELDS.iter().find(|(known, ..)| *known == key);
        let (_, field, write) = known.ok_or_else(|| format!("value {key} is unknown"))?;
        let value = write(&value).ok_or_else(|| format!("value {key} is of another kind"))?;
        code += &format!("    {field}: {value},\n");
    }
    if let Some(base) = base {
        code += &format!("    ..{}\n", base.to_uppercase());
    }
    Ok(code + "};\n")
}

/// Top-level values, and those of each section as `section.value`.
fn values(file: Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in file {
        match value {
            Value::Table(section) => {
                found.extend(section.into_iter().map(|(key, v)| (format!("{name}.{key}"), v)));
            }
            value => found.push((name, value)),
        }
    }
    found
}

fn boolean(value: &Value) -> Option<String> {
    value.as_bool().map(|value| value.to_string())
}

/// None of them means anything below zero.
fn number(value: &Value) -> Option<String> {
    value.as_integer().filter(|value| *value >= 0).map(|value| value.to_string())
}

/// Soft and hard.
fn pair(value: &Value) -> Option<String> {
    let [soft, hard] = &value.as_array()?[..] else { return None };
    let in_order = soft.as_integer()? <= hard.as_integer()?;
    in_order.then_some(format!("({}, {})", number(soft)?, number(hard)?))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(|text| format!("{text:?}"))
}

fn list(value: &Value, write: fn(&Value) -> Option<String>) -> Option<String> {
    let all: Option<Vec<String>> = value.as_array()?.iter().map(write).collect();
    Some(format!("&[{}]", all?.join(", ")))
}

fn texts(value: &Value) -> Option<String> {
    list(value, text)
}

/// As paths below /proc/sys.
fn parameters(value: &Value) -> Option<String> {
    list(value, |name| name.as_str().map(|name| format!("{:?}", name.replace('.', "/"))))
}

fn capabilities(value: &Value) -> Option<String> {
    let masks = value.as_array()?.iter().map(|name| {
        let name = name.as_str()?;
        Capability::from_name(name).filter(|known| known.name() == name).map(Capability::mask)
    });
    masks.collect::<Option<Vec<u64>>>().map(|m| m.iter().fold(0, |a, b| a | b).to_string())
}

fn places(value: &Value) -> Option<String> {
    list(value, place)
}

fn place(value: &Value) -> Option<String> {
    let mut place = value.as_table()?.clone();
    let destination = text(&place.remove("destination")?)?;
    let options = texts(&place.remove("options")?)?;
    let if_present = match place.remove("if_present") {
        Some(value) => value.as_bool()?,
        None => false,
    };
    place.is_empty().then_some(format!(
        "Tmpfs {{ destination: {destination}, options: {options}, if_present: {if_present} }}"
    ))
}
