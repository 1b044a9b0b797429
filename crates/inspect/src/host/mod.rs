//! What this kernel and this host can enforce, what is missing, and how to get it.
//!
//! A check looks at one thing and says in one line what it found. It makes the call, or reads the file, that
//! casemate itself would; version numbers are looked at only where trying would change the host. The files can be
//! taken from below another directory, so that a disk image can be looked at; system calls always
//! go to the running kernel.

mod cgroup;
mod check;
mod files;
mod kernel;
mod node;
mod security;
mod storage;

pub use check::{Check, Status};
pub use files::Host;

/// Everything about the host, area by area.
pub fn check(host: &Host) -> Vec<Check> {
    let mut checks = kernel::checks(host);
    checks.extend(cgroup::checks(host));
    checks.extend(security::checks(host));
    checks.extend(storage::checks(host));
    checks.extend(node::checks(host));
    checks.extend(host.unread());
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_cannot_be_read_is_told_once_and_what_is_not_there_is_not() {
        let dir = std::env::temp_dir().join(format!("casemate-host-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("etc/policy.toml")).unwrap();
        let host = Host::at(&dir);
        assert_eq!(host.read("/etc/other.toml"), None);
        assert!(!host.exists("/etc/other.toml/below"));
        assert!(host.unread().is_none());
        assert_eq!(host.read("/etc/policy.toml"), None);
        let told = host.unread().unwrap();
        assert_eq!(told.status, Status::Warning);
        assert_eq!(told.found, "cannot be read: /etc/policy.toml: is a directory");
        assert!(host.unread().is_none());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
