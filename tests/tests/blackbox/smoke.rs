//! The harness itself: a container runs, and what it leaves is seen.

use casemate_tests::{requires, Bundle, Canary, Container};

#[test]
fn a_container_runs_and_leaves_nothing() {
    requires!(root);
    let canary = Canary::new();
    let container = Container::new(Bundle::sh("echo one=$(hostname); exit 3"));
    let done = container.run().done();
    assert_eq!((done.code(), done.value("one"), done.stderr.as_str()), (3, "casemate", ""));
    assert_eq!(container.leftovers(), Vec::<String>::new());
    canary.check();
}

#[test]
fn a_created_container_is_seen_and_removed_by_force() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    assert_eq!(container.state()["status"], "created");
    assert!(container.leftovers().len() >= 2, "{:?}", container.leftovers());
    container.start().ok();
    assert_eq!(container.state()["status"], "running");
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
}
