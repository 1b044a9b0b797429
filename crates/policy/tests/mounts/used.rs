//! What the host has in use: programs, hooks, logs, swap files, sockets.

use super::common::changed;
use super::{bind, bind_as, choice, class, dir, host, is_writable};
use casemate_policy::{harden_as, FileFact, FileKind, HostFacts, Use, Used};
use serde_json::json;

#[test]
fn who_was_granted_a_socket_was_not_granted_the_place_around_it() {
    for (path, wanted) in [("/run", "mounts.host-run"), ("/", "mounts.host-root")] {
        let inside = vec![format!("{}/docker.sock", path.trim_end_matches('/'))];
        let file = || FileFact { inside: inside.clone(), ..dir(path) };
        assert_eq!(class(bind(file())).as_deref(), Some(wanted));
        let granted = choice(&["mounts.docker-sock"]);
        assert_eq!(class(bind_as(file(), host(), &granted)).as_deref(), Some(wanted));
    }
}

#[test]
fn what_holds_a_program_of_the_runtime_is_read_only_even_among_data() {
    let used = |path: &str| {
        let used = Used { by: Use::Program, path: "/srv/tools/casemate".to_owned() };
        FileFact { used: vec![used], ..dir(path) }
    };
    let file = FileFact { kind: FileKind::Regular, ..used("/home/u/second-link") };
    for file in [used("/srv"), used("/srv/tools"), file] {
        let result = bind(file.clone()).unwrap();
        assert!(!is_writable(&result), "{}", file.path);
        let as_asked = choice(&["mounts.host-system"]);
        assert!(is_writable(&bind_as(file, host(), &as_asked).unwrap()));
    }
    let mut data = choice(&[]);
    data.overrides.values.paths_data = Some(vec!["/srv".to_owned()]);
    assert!(!is_writable(&bind_as(used("/srv"), host(), &data).unwrap()));
    let root = HostFacts { root: Some(used("/srv/b")), ..host() };
    let refusal = harden_as(changed("/hostname", json!("h")).unwrap(), &choice(&[]), &root);
    assert_eq!(class(refusal).as_deref(), Some("mounts.host-system"));
    for path in ["/opt/cni/bin", "/opt/containerd", "/opt/k3s/bin", "/opt/bin"] {
        assert!(!is_writable(&bind(dir(path)).unwrap()), "{path}");
    }
}

#[test]
fn what_holds_a_hook_or_the_log_is_read_only_and_no_root_file_system_that_can_be_written() {
    for by in [Use::Hook, Use::Log] {
        is_kept_from_being_written(by);
    }
}

fn is_kept_from_being_written(by: Use) {
    let used = || vec![Used { by, path: "/srv/hooks/h.sh".to_owned() }];
    let file = |path: &str| FileFact { used: used(), ..dir(path) };
    for path in ["/srv", "/srv/hooks", "/home/u/second-link"] {
        assert!(!is_writable(&bind(file(path)).unwrap()), "{path}");
        let as_asked = choice(&["mounts.host-system"]);
        assert!(is_writable(&bind_as(file(path), host(), &as_asked).unwrap()), "{path}");
    }
    let root = HostFacts { root: Some(file("/srv/b")), ..host() };
    let run = |readonly: bool| {
        let choice = choice(&["rootfs.writable"]);
        harden_as(changed("/root/readonly", json!(readonly)).unwrap(), &choice, &root)
    };
    assert_eq!(class(run(false)).as_deref(), Some("mounts.host-system"));
    assert!(run(true).is_ok(), "nobody can write it there");
}

#[test]
fn swap_files_are_refused_and_images_of_mounted_loop_devices_read_only_wherever_they_lie() {
    let used = |by: Use, path: &str| FileFact {
        used: vec![Used { by, path: "/mnt/disk/file".to_owned() }],
        ..dir(path)
    };
    for path in ["/mnt", "/mnt/disk/file"] {
        let refused = class(bind(used(Use::Swap, path)));
        assert_eq!(refused.as_deref(), Some("mounts.host-root"), "{path}");
        assert!(!is_writable(&bind(used(Use::Loop, path)).unwrap()), "{path}");
    }
}
