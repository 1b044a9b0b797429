//! What of the host the bundles name.

use casemate_tests::generate::Places;
use std::path::Path;

const SOURCES: &[&str] = &[
    "/",
    "/..",
    "/etc",
    "/etc/",
    "/etc/shadow",
    "/etc/passwd",
    "/etc/hosts",
    "/etc/cron.d",
    "/etc/ssh",
    "/etc/ssl/certs",
    "/root",
    "/root/.ssh",
    "/boot",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/bin",
    "/opt",
    "/var",
    "/var/lib",
    "/var/lib/dpkg",
    "/var/spool/cron",
    "/var/log",
    "/var/tmp",
    "/run",
    "/run/casemate",
    "/run/casemate-ids",
    "/run/user",
    "/tmp",
    "/home",
    "/srv",
    "/mnt",
    "/proc",
    "/proc/sys",
    "/proc/1/root",
    "/proc/self/ns/mnt",
    "/proc/1/ns/net",
    "/proc/kcore",
    "/sys",
    "/sys/fs/cgroup",
    "/sys/kernel",
    "/sys/firmware",
    "/dev",
    "/dev/null",
    "/dev/shm",
    "/dev/pts",
    "/dev/mqueue",
    "/dev/vda",
    "/missing",
];

pub(crate) fn of(work: &Path, second: &str) -> Places {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let own = |name: &str| work.join(name).to_string_lossy().into_owned();
    let mut sources = words(SOURCES);
    // As many that may be bound, by names that are not.
    for name in ["data", "data/../data", "data/a b", "data/new\nline", "data/co:lon", "data/com,ma"]
    {
        sources.extend((0..6).map(|_| own(name)));
    }
    for name in ["link-etc", "link-root", "data/deep/link-shadow", "."] {
        sources.push(own(name));
    }
    for below in ["", "/etc", "/etc/shadow", "/var/lib", "/root", "/usr/bin", "/run"] {
        sources.push(format!("{second}{below}"));
    }
    let kinds = ["pid", "net", "ipc", "uts", "user", "cgroup", "mnt", "time"];
    let spelt = |kind: &&str| match *kind {
        "net" => "network".to_owned(),
        "mnt" => "mount".to_owned(),
        other => other.to_owned(),
    };
    Places {
        roots: vec![
            own("rootfs"),
            "/".to_owned(),
            "/usr".to_owned(),
            second.to_owned(),
            own("link-root"),
        ],
        sources,
        devices: words(&["/dev/vda", "none"]),
        namespaces: kinds.iter().map(|kind| (spelt(kind), format!("/proc/1/ns/{kind}"))).collect(),
        programs: words(&["/bin/true", "/usr/bin/true"]),
        interfaces: Vec::new(),
        args: words(&["/bin/generate", "--payload"]),
        cgroup: "/casemate-generate".to_owned(),
        heats: vec![1, 2, 4, 4, 8, 12, 30],
    }
}
