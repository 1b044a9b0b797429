//! The pool of host ids: who has which, and until when.

use crate::hardening_own_ids::{held_by, map_of, sleeping};
use casemate_tests::{requires, wait, Bundle, Container};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

#[test]
fn two_containers_never_have_an_id_in_common() {
    requires!(root);
    let all: Vec<Container> = (0..8).map(|_| Container::new(sleeping()).up()).collect();
    let ranges: HashSet<u32> = all.iter().map(|c| map_of(c.pid()).0 / 65536).collect();
    assert_eq!(ranges.len(), all.len());
}

/// A file that does not lie in the way is looked at only when it is a minute old.
fn let_age(path: &Path) {
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(600);
    if let Ok(file) = std::fs::File::options().write(true).open(path) {
        file.set_modified(long_ago).unwrap();
    }
}

#[test]
fn a_range_outlives_no_runtime_that_was_killed() {
    requires!(root);
    let container = Container::new(sleeping());
    for step in 0..24u64 {
        let running = container.create().spawn();
        std::thread::sleep(std::time::Duration::from_micros(700 * step));
        running.signal(libc::SIGKILL);
        drop(running.done());
        container.delete().ok();
    }
    // What was taken before there was a state directory to be deleted is found by whoever wants the range next. A process that
    // was in the middle of something may need a moment to notice that it is alone.
    wait::until("the ranges are free again", || {
        let held = held_by(&container);
        if held.is_empty() {
            return Ok(());
        }
        held.iter().for_each(|path| let_age(path));
        container.create().ok();
        container.delete().ok();
        Err(format!("{held:?}"))
    });
}

/// With a user namespace of its own, and the ids from `first` on.
fn bringing(script: &str, first: u32) -> Bundle {
    Bundle::sh(script).edit(|c| {
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": first, "size": 65536}]);
        c["linux"]["uidMappings"] = map.clone();
        c["linux"]["gidMappings"] = map;
    })
}

#[test]
fn a_configuration_does_not_bring_the_ids_of_a_running_container() {
    requires!(root);
    let container = Container::new(sleeping()).up();
    let (first, _) = map_of(container.pid());
    let text = Container::new(bringing("true", first)).run().refused();
    let what = format!("user ids from {first} on are those of another container");
    assert!(text.contains(&what) && text.contains("userns.shared-ids"), "{text}");
    let shared = Container::new(bringing("true", first)).global(&["--allow", "userns.shared-ids"]);
    shared.run().ok();
}

#[test]
fn a_configuration_does_not_bring_so_many_ids_that_others_are_left_without() {
    requires!(root);
    let bundle = bringing("true", 65536).edit(|c| {
        c["linux"]["uidMappings"][0]["size"] = json!(4_294_901_759_u32);
    });
    let text = Container::new(bundle).run().refused();
    assert!(text.contains("others would be left without"), "{text}");
    assert!(text.contains("userns.shared-ids"), "{text}");
}

#[test]
fn a_container_is_not_given_the_ids_that_a_configuration_has_brought() {
    requires!(root);
    // Somebody else on this host may take just that range in between.
    let tried = (0..5).find_map(|_| {
        let container = Container::new(sleeping()).up();
        let (first, _) = map_of(container.pid());
        container.delete().ok();
        let own = Container::new(bringing("sleep 600", first));
        own.create().done().status.success().then_some((container, own, first))
    });
    let (container, own, first) = tried.unwrap();
    assert_eq!(held_by(&own).len(), 1);
    let again = container.up();
    assert_ne!(map_of(again.pid()).0, first);
    own.delete().ok();
    assert!(held_by(&own).is_empty());
}
