//! What a record says was tried, which control looks at it, and which overrides let it through.

use casemate_kernel::audit::{Kind, Record};
use casemate_policy::spec::Capability;
use casemate_seccomp::{default_rules, restricted_rules, Action, Arch, Feature};

/// A record in words.
pub(super) struct Said {
    pub(super) source: &'static str,
    pub(super) tried: String,
    pub(super) control: &'static str,
    pub(super) overrides: Vec<String>,
}

/// A record in words; `None`: nothing was refused.
pub(super) fn of(record: &Record<'_>) -> Option<Said> {
    match record.kind {
        Kind::Seccomp => of_seccomp(record),
        Kind::Avc if record.get("apparmor").is_some() => of_apparmor(record),
        Kind::Avc => of_selinux(record),
        Kind::LandlockAccess => Some(of_landlock(record)),
        Kind::LandlockDomain | Kind::Syscall => None,
    }
}

/// SECCOMP_RET_* without its data, <linux/seccomp.h>.
const RET_ALLOW: u64 = 0x7fff_0000;
const RET_LOG: u64 = 0x7ffc_0000;

fn of_seccomp(record: &Record<'_>) -> Option<Said> {
    let code = record.number("code").map(|code| code & 0xffff_0000);
    if code == Some(RET_ALLOW) || code == Some(RET_LOG) {
        return None;
    }
    let call = Call::of(record);
    let killed =
        if record.number("sig").unwrap_or(0) == 0 { "" } else { ", and the process was killed" };
    let said = |tried: String, control, overrides| {
        Some(Said { source: "seccomp", tried: tried + killed, control, overrides })
    };
    match call {
        // The kernel's log cuts records that are longer than a line of it, behind the name of the program.
        None => {
            said("a system call (the record was cut short)".to_owned(), DEFAULT_FILTER, Vec::new())
        }
        Some(Call { name, native: true }) if passes_always(&name) => {
            said(format!("{name}(2), by a filter that is not casemate's"), "none", Vec::new())
        }
        Some(Call { name, native: true }) => {
            said(format!("{name}(2)"), DEFAULT_FILTER, opening(&name))
        }
        Some(Call { name, native: false }) => said(name, DEFAULT_FILTER, of_other_architectures()),
    }
}

const DEFAULT_FILTER: &str = "seccomp.default";

/// A system call.
struct Call {
    name: String,
    /// It is one of this machine's own architecture.
    native: bool,
}

impl Call {
    /// `None`: the record does not say which.
    fn of(record: &Record<'_>) -> Option<Self> {
        let number = u32::try_from(record.number("syscall")?).ok()?;
        let token = u32::from_str_radix(record.get("arch")?, 16).ok()?;
        let native = Arch::native()?;
        if token == native.audit_token() {
            if let Some(name) = native.syscall_name(number) {
                return Some(Self { name: name.to_owned(), native: true });
            }
        }
        let arch = Arch::all().find(|arch| arch.audit_token() == token && *arch != native);
        let name = arch.and_then(|arch| arch.syscall_name(number));
        let call =
            name.map_or_else(|| format!("system call {number}"), |name| format!("{name}(2)"));
        let of = arch.map_or_else(
            || format!("architecture {token:#x}"),
            |arch| arch.scmp_name().trim_start_matches("SCMP_ARCH_").to_lowercase(),
        );
        let name = format!("{call} of {of}, which is not this machine's own");
        Some(Self { name, native: false })
    }
}

/// The default filter lets the call pass whatever it is asked for and whoever asks.
fn passes_always(name: &str) -> bool {
    let Some(native) = Arch::native() else { return false };
    let mut rules = restricted_rules().iter().chain(default_rules());
    let first =
        rules.find(|rule| rule.applies(native, 0) && rule.names().any(|other| other == name));
    first.is_some_and(|rule| rule.action == Action::Allow && rule.args.is_empty())
}

fn of_other_architectures() -> Vec<String> {
    let admits = |feature: &&Feature| !feature.archs.is_empty();
    Feature::all()
        .iter()
        .filter(admits)
        .map(|feature| format!("seccomp.{}", feature.name))
        .collect()
}

/// What opens a call in the default filter: capabilities, with which the kernel mostly lets it through as well, and features.
fn opening(name: &str) -> Vec<String> {
    let Some(native) = Arch::native() else { return Vec::new() };
    let mut found: Vec<String> = Vec::new();
    let opens = |rule: &&casemate_seccomp::DefaultRule| {
        rule.caps != 0 && rule.action == Action::Allow && rule.applies(native, u64::MAX)
    };
    for rule in default_rules().iter().filter(opens) {
        if rule.names().any(|other| other == name) {
            let needed = Capability::all().filter(|one| one.mask() & rule.caps != 0);
            for name in needed.map(override_of).collect::<Vec<_>>() {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
    }
    for feature in Feature::all() {
        let mut rules = feature.rules.iter().filter(|rule| rule.action == Action::Allow);
        if rules.any(|rule| rule.names().any(|other| other == name)) {
            found.push(format!("seccomp.{}", feature.name));
        }
    }
    found
}

fn override_of(capability: Capability) -> String {
    format!("capabilities.{}", capability.name().trim_start_matches("CAP_").to_lowercase())
}

fn of_apparmor(record: &Record<'_>) -> Option<Said> {
    if record.get("apparmor") != Some("DENIED") {
        return None;
    }
    let operation = record.text("operation").unwrap_or_default();
    let mut tried = operation.into_owned();
    for key in ["capname", "name", "peer", "family"] {
        if let Some(text) = record.text(key) {
            tried.push_str(&format!(" {text}"));
        }
    }
    if let Some(mask) = record.text("denied_mask") {
        tried.push_str(&format!(" ({mask})"));
    }
    if let Some(profile) = record.text("profile") {
        tried.push_str(&format!(", by AppArmor's profile {profile}"));
    }
    Some(Said {
        source: "apparmor",
        tried,
        control: "apparmor.profile",
        overrides: vec!["apparmor.unconfined".to_owned()],
    })
}

fn of_selinux(record: &Record<'_>) -> Option<Said> {
    let refused = record.denied()?;
    // A domain that is permissive is let through.
    if record.number("permissive") == Some(1) {
        return None;
    }
    let class = record.get("tclass").unwrap_or("object");
    let mut tried = format!("{refused} of a {class}");
    if let Some(name) = record.text("path").or_else(|| record.text("name")) {
        tried.push_str(&format!(" {name}"));
    }
    if let Some(target) = record.get("tcontext") {
        tried.push_str(&format!(", labelled {target}"));
    }
    Some(Said { source: "selinux", tried, control: "selinux.label", overrides: Vec::new() })
}

fn of_landlock(record: &Record<'_>) -> Said {
    let mut tried = record.get("blockers").unwrap_or("an access").to_owned();
    for key in ["path", "dest", "opid"] {
        if let Some(text) = record.text(key) {
            tried.push_str(&format!(" {text}"));
        }
    }
    Said {
        source: "landlock",
        tried,
        control: "landlock.layer",
        overrides: vec!["landlock.off".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Option<Said> {
        of(&Record::parse(line).unwrap())
    }

    fn seccomp(call: &str, code: &str) -> Option<Said> {
        let native = Arch::native().unwrap();
        let (number, arch) = (native.syscall_number(call).unwrap(), native.audit_token());
        said(&format!(
            "type=SECCOMP msg=audit(1.000:1): uid=0 pid=1 comm=\"x\" sig=0 arch={arch:x} syscall={number} code={code}"
        ))
    }

    #[test]
    fn a_call_is_named_with_what_opens_it() {
        let said = seccomp("io_uring_setup", "0x50000").unwrap();
        assert_eq!((said.tried.as_str(), said.control), ("io_uring_setup(2)", "seccomp.default"));
        assert_eq!(said.overrides, ["seccomp.io_uring"]);
        assert!(seccomp("mount", "0x50000")
            .unwrap()
            .overrides
            .contains(&"seccomp.mount".to_owned()));
        // Logged and let through.
        assert!(seccomp("mount", "0x7ffc0000").is_none());
    }

    #[test]
    fn each_call_that_the_default_filter_opens_for_a_capability_names_it() {
        let said = seccomp("settimeofday", "0x50000").unwrap();
        assert!(
            said.overrides.iter().any(|name| name == "capabilities.sys_time"),
            "{:?}",
            said.overrides
        );
    }

    #[test]
    fn a_call_of_another_architecture_says_so() {
        let line = "type=SECCOMP msg=audit(1.000:1): uid=0 pid=1 sig=31 arch=40000003 syscall=20 code=0x80000000";
        let said = said(line).unwrap();
        assert!(
            said.tried.contains("not this machine's own, and the process was killed"),
            "{}",
            said.tried
        );
    }

    #[test]
    fn a_record_that_was_cut_short_is_a_denial_all_the_same() {
        let line = "audit: type=1326 audit(1.000:1): uid=70000 pid=1 comm=\"m\" exe=2F4C30";
        let said = said(line).unwrap();
        assert_eq!(said.tried, "a system call (the record was cut short)");
    }

    #[test]
    fn what_the_default_filter_never_refuses_was_refused_by_another() {
        let said = seccomp("getppid", "0x50000").unwrap();
        assert_eq!((said.control, said.overrides.len()), ("none", 0));
        assert!(said.tried.contains("not casemate's"), "{}", said.tried);
    }

    #[test]
    fn what_a_security_module_let_through_is_no_denial() {
        assert!(
            said("type=AVC msg=audit(1.000:1): apparmor=\"ALLOWED\" operation=\"open\"").is_none()
        );
        assert!(said("type=AVC msg=audit(1.000:1): avc:  denied  { read } for pid=1 permissive=1")
            .is_none());
        assert!(said("type=AVC msg=audit(1.000:1): avc:  granted  { read } for pid=1").is_none());
        let refused = said("type=AVC msg=audit(1.000:1): avc:  denied  { read } for pid=1 name=\"x\" tclass=file permissive=0");
        assert_eq!(refused.unwrap().tried, "read of a file x");
    }
}
