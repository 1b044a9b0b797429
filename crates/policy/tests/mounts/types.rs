//! Types of file systems that a configuration mounts, and remounts of them.

use super::*;

fn mounted(mount: Value, allow: &[&str]) -> Result<Hardened, Refusal> {
    harden_as(changed("/mounts/-", mount).unwrap(), &choice(allow), &host())
}

#[test]
fn a_type_is_refused_by_the_name_of_its_kind() {
    for (kind, wanted) in [
        ("proc", "mounts.second-proc"),
        ("sysfs", "mounts.second-sysfs"),
        ("cgroup2", "mounts.host-cgroup"),
        ("ext4", "mounts.block"),
        ("nfs", "mounts.network"),
        ("fuse.sshfs", "mounts.fuse"),
        ("binfmt_misc", "mounts.kernel-fs"),
        ("nosuchfs", "mounts.unknown-fs"),
    ] {
        let mount = || json!({"destination": "/vol", "type": kind, "source": kind});
        let refusal = mounted(mount(), &[]).unwrap_err();
        assert_eq!(refusal.decision.rule, ControlId::MountTypes);
        assert_eq!(refusal.allow.unwrap().name, wanted, "{kind}");
        assert!(mounted(mount(), &[wanted]).is_ok(), "{kind} as asked for");
    }
}

#[test]
fn an_override_for_another_place_or_source_leaves_the_restrictions() {
    let last = |mount: Value, allow: &str| {
        let made = mounted(mount, &[allow]).unwrap();
        made.spec.mounts.last().unwrap().options.clone()
    };
    let second = json!({"destination": "/mnt", "type": "sysfs", "source": "sysfs"});
    let options = last(second, "mounts.second-sysfs");
    assert!(["ro", "nosuid", "nodev", "noexec"].iter().all(|o| options.iter().any(|x| x == o)));
    let named = json!({"destination": "/sys", "type": "sysfs", "options": ["source=/dev/sda1"]});
    assert!(last(named, "mounts.unknown-fs").contains(&"ro".to_owned()));
    let proc = json!({"destination": "/mnt", "type": "proc", "source": "proc"});
    assert!(last(proc, "mounts.second-proc").contains(&"nosuid".to_owned()));
}

#[test]
fn options_of_kernel_file_systems_are_tightened_and_not_refused() {
    let mut document = plain();
    document["mounts"] = json!([
        {"destination": "/proc", "type": "proc", "options": ["rw", "hidepid=2"]},
        {"destination": "/sys", "type": "sysfs", "options": ["rw"]},
    ]);
    let result = harden_as(parse(&document).unwrap(), &choice(&[]), &host()).unwrap();
    let options = |path: &str| {
        let mount = result.spec.mounts.iter().find(|mount| mount.destination == path);
        mount.unwrap().options.join(",")
    };
    assert_eq!(options("/proc"), "rw,hidepid=2,nosuid,nodev,noexec");
    assert_eq!(options("/sys"), "rw,nosuid,nodev,noexec,ro");
    let told = result.decisions.iter().filter(|d| d.rule == ControlId::MountTypes);
    assert!(told.clone().count() == 2 && told.clone().all(|d| d.verdict == Verdict::Tightened));
}

#[test]
fn a_remount_opens_nothing_that_was_closed() {
    let mut document = plain();
    let index = document["mounts"].as_array().unwrap().len();
    let mount = json!({"destination": "/vol", "source": "/usr", "options": ["bind"]});
    put(&mut document, "/mounts/-", mount);
    let again = json!({"destination": "/vol", "options": ["remount", "rw", "suid"]});
    put(&mut document, "/mounts/-", again);
    let sources = [(index, SourceFact::Found(Box::new(dir("/usr"))))].into();
    let facts = HostFacts { sources, ..host() };
    let result = harden_as(parse(&document).unwrap(), &choice(&[]), &facts).unwrap();
    let last = &result.spec.mounts.last().unwrap().options;
    assert!(last.contains(&"ro".to_owned()) && last.contains(&"nosuid".to_owned()), "{last:?}");
    let alone = json!({"destination": "/vol", "options": ["remount"]});
    assert_eq!(class(mounted(alone, &[])).as_deref(), Some("mounts.remount"));
}

#[test]
fn a_remount_does_not_undo_that_cgroups_are_read_only() {
    let mut document = plain();
    let cgroup = json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"});
    put(&mut document, "/mounts/-", cgroup);
    let remount = json!({"destination": "/sys/fs/cgroup/", "options": ["remount", "rw"]});
    put(&mut document, "/mounts/-", remount);
    let result = harden_as(parse(&document).unwrap(), &choice(&[]), &host()).unwrap();
    let on = result.spec.mounts.iter().filter(|m| m.destination.starts_with("/sys/fs/cgroup"));
    let last: Vec<_> = on.map(|mount| mount.options.last().cloned().unwrap_or_default()).collect();
    assert!(last.iter().all(|option| option == "ro"), "{last:?}");
}

#[test]
fn an_ordinary_caller_too_mounts_no_second_procfs() {
    for (kind, wanted) in [
        ("proc", "mounts.second-proc"),
        ("sysfs", "mounts.second-sysfs"),
        ("cgroup2", "mounts.host-cgroup"),
    ] {
        let mount = json!({"destination": "/mnt", "type": kind, "source": kind});
        let spec = changed("/mounts/-", mount).unwrap();
        let ordinary = HostFacts { euid: 1000, ..host() };
        let result = harden_as(spec.clone(), &choice(&[]), &ordinary);
        assert_eq!(class(result).as_deref(), Some(wanted));
        harden_as(spec, &choice(&[wanted]), &ordinary).unwrap();
    }
}
