//! casemate's own installation on this node: its binary, its policy, its range of ids.

use super::check::{Check, Status};
use super::files::Host;
use casemate_policy::NodePolicy;
use casemate_runtime::ops::policy_in;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const DIR: &str = "/etc/casemate";
const POLICY: &str = "/etc/casemate/policy.toml";
const DROP_INS: &str = "/etc/casemate/policy.d";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = vec![policy(host)];
    checks.extend(subordinate(host, "/etc/subuid"));
    checks.extend(subordinate(host, "/etc/subgid"));
    checks.push(rootless_helpers(host));
    checks
}

/// The policy as `create` reads it: owner and mode of everything that can change it, and what it says.
fn policy(host: &Host) -> Check {
    let id = "node.policy";
    let mut files: Vec<String> =
        host.names(DROP_INS, ".toml").iter().map(|name| format!("{DROP_INS}/{name}")).collect();
    if host.exists(POLICY) {
        files.insert(0, POLICY.to_owned());
    }
    let places = [DIR, DROP_INS].iter().filter(|path| host.exists(path));
    for path in places.map(|path| (*path).to_owned()).chain(files.iter().cloned()) {
        match host.path(&path).symlink_metadata() {
            Ok(m) if m.uid() == 0 && (m.is_symlink() || m.mode() & 0o022 == 0) => continue,
            Ok(_) => {}
            // What cannot be looked at is what `create` cannot read.
            Err(why) => {
                let found = format!("{path} cannot be read: {why}: no container will be created");
                return Check::new(id, Status::Missing, found);
            }
        }
        let found = format!("{path} does not belong to root alone: no container will be created");
        return Check::new(id, Status::Missing, found)
            .fix(format!("chown root:root {path} && chmod go-w {path}"));
    }
    let read = policy_in(&host.path(DIR));
    // An error is told below.
    if let Some(check) = read.as_ref().ok().and_then(Option::as_ref).and_then(|p| records(host, p))
    {
        return check;
    }
    match read {
        Err(error) => {
            // The place as the host itself calls it.
            let root = host.path("/").display().to_string();
            let text = format!("{error:#}").replace(&format!("{root}etc/"), "/etc/");
            Check::new(id, Status::Missing, format!("{text}: no container will be created"))
                .fix("correct the line or remove the file; 'casemate policy check FILE' checks one")
        }
        Ok(Some(policy)) if !policy.notes().is_empty() => {
            Check::new(id, Status::Warning, policy.notes().join("; "))
                .fix("match what the engine itself writes, or remove what the rule grants")
        }
        Ok(_) if files.is_empty() => {
            Check::new(id, Status::Ok, "none: the built-in default applies")
        }
        Ok(_) => Check::new(id, Status::Ok, files.join(" ")),
    }
}

/// That the audit log has no directory; `None`: it has one, or there is no such log.
fn records(host: &Host, policy: &NodePolicy) -> Option<Check> {
    let dir = Path::new(policy.audit().file.as_ref()?).parent()?;
    if host.exists(dir) {
        return None;
    }
    let (status, what) = match policy.audit().required {
        Some(true) => (Status::Missing, "no container will be created"),
        _ => (Status::Warning, "nothing is recorded, and what restricted runs is refused"),
    };
    let dir = dir.display();
    let found = format!("audit.file: {dir} is missing: {what}");
    Some(Check::new("node.policy", status, found).fix(format!("install -d -m 0700 {dir}")))
}

/// A range for automatic user namespaces.
fn subordinate(host: &Host, file: &str) -> Option<Check> {
    let text = host.read(file)?;
    let id = format!("node.{}", file.trim_start_matches("/etc/"));
    let count = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some("casemate")).then(|| fields.nth(1)?.trim().parse::<u64>().ok())?
    };
    let check = match text.lines().filter_map(count).max() {
        Some(size) if size >= 65536 => {
            Check::new(id, Status::Ok, format!("casemate has {size} ids"))
        }
        Some(size) => {
            let found = format!("casemate has {size} ids, a container takes 65536");
            Check::new(id, Status::Warning, found)
        }
        None => Check::new(id, Status::Info, "no line for casemate: the built-in range is used"),
    };
    let hint = format!(
        "a line casemate:FIRST:COUNT in {file}, COUNT at least 65536; /usr/lib/casemate/setup-host ids finds a free range"
    );
    Some(check.needed_for("automatic user namespaces").hint(hint))
}

fn rootless_helpers(host: &Host) -> Check {
    let dirs = ["/usr/bin", "/usr/local/bin", "/bin"];
    let has = |name: &str| dirs.iter().any(|dir| host.exists(format!("{dir}/{name}")));
    let check = match (has("newuidmap"), has("newgidmap")) {
        (true, true) => Check::new("node.uidmap", Status::Ok, "newuidmap and newgidmap are there"),
        _ => Check::new(
            "node.uidmap",
            Status::Info,
            "newuidmap is missing: ordinary users can map their own id only",
        ),
    };
    check
        .needed_for("rootless containers with more than one id")
        .hint("install uidmap (Debian, Ubuntu) or shadow-utils (Fedora)")
}
