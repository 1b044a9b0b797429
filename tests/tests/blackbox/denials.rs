//! `denials`: what the kernel has recorded of refusals, given to the container that it is about.

use casemate_tests::bundle::{write, Bundle};
use casemate_tests::container::Container;
use casemate_tests::scratch::Dir;
use casemate_tests::{requires, wait};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// A node whose policy says this.
struct Node(Dir);

impl Node {
    fn new(policy: &str) -> Self {
        let dir = Dir::new("policy");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let file = dir.path().join("policy.toml");
        write(&file, policy);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        Self(dir)
    }

    fn container(&self, script: &str) -> Container {
        Container::new(Bundle::sh(script))
            .global(&["--policy-dir", self.0.path().to_str().unwrap()])
    }
}

const RECORDED: &str = "[audit]\ndenials = true\n";

/// Asks for a call that the default filter refuses, and waits to be told to ask again.
const ASKS: &str = "while :; do unshare -U true 2>/dev/null; sleep 1; done";

/// Whether this caller can have refusals recorded, and read the records: not in every container, and not where the kernel has no
/// audit system.
fn kernel_records() -> bool {
    let readable = std::fs::File::open("/dev/kmsg").is_ok();
    readable && casemate_sys::kaudit::status().is_ok()
}

fn denials(container: &Container) -> Vec<Value> {
    let done = container.verb("denials", &["--format", "json"]).ok();
    let found: Value = serde_json::from_str(&done.stdout).unwrap();
    found["denials"].as_array().unwrap().clone()
}

/// Waits for a record of the call: the kernel leaves out some when there are many in a second.
fn denied(container: &Container, call: &str) -> Value {
    wait::until(call, || {
        let all = denials(container);
        let found = all.iter().find(|one| one["tried"] == format!("{call}(2)")).cloned();
        found.ok_or_else(|| format!("{all:?}"))
    })
}

#[test]
fn a_refused_call_is_named_with_its_container_its_control_and_what_lets_it_through() {
    requires!(kernel_records(), "needs the kernel's audit records");
    let node = Node::new(RECORDED);
    let container = node.container(ASKS).up();
    let denial = denied(&container, "unshare");
    assert_eq!(denial["source"], "seccomp");
    assert_eq!(denial["control"], "seccomp.default");
    assert_eq!(denial["containers"][0]["id"], container.id.as_str());
    assert_eq!(denial["containers"].as_array().unwrap().len(), 1);
    let overrides = denial["overrides"].as_array().unwrap();
    assert!(overrides.iter().any(|name| name == "seccomp.userns"), "{denial}");
    let text = container.verb("denials", &[]).ok().stdout;
    assert!(text.contains("was denied unshare(2) (seccomp.default)"), "{text}");
    // Its processes have ended and it has gone: its uids say whose they were.
    container.command("delete").args(["--force", &container.id]).ok();
    let denial = denied(&container, "unshare");
    assert_eq!(denial["containers"][0]["gone"], true);
}

#[test]
fn what_programs_ask_for_to_see_whether_it_is_there_is_not_recorded() {
    requires!(kernel_records(), "needs the kernel's audit records");
    // C libraries ask for clone3(2) and go back to clone(2).
    let script = "while :; do /bin/probe call clone3; unshare -U true; sleep 1; done";
    let node = Node::new(RECORDED);
    let container = node.container(script).up();
    denied(&container, "unshare");
    let all = denials(&container);
    assert!(all.iter().all(|one| one["tried"] != "clone3(2)"), "{all:?}");
    let done = container.exec("/bin/probe call clone3").ok();
    assert_eq!(done.stdout, "ENOSYS\n");
}

#[test]
fn an_added_process_has_its_refusals_recorded_as_well() {
    requires!(kernel_records(), "needs the kernel's audit records");
    let node = Node::new(RECORDED);
    let container = node.container("sleep 600").up();
    wait::until("a record", || {
        container.exec("unshare -m true || echo refused").ok();
        let all = denials(&container);
        all.iter().any(|one| one["tried"] == "unshare(2)").then_some(()).ok_or(format!("{all:?}"))
    });
    // Of fewer capabilities, for which the filter is made anew.
    let words = ["grep", "Seccomp_filters", "/proc/self/status"];
    let done = container.exec_command(&["--user", "1000"], &words);
    assert!(done.ok().stdout.trim_end().ends_with('2'));
}

#[test]
fn without_the_policys_word_the_filter_is_one_and_nothing_is_recorded() {
    requires!(kernel_records(), "needs the kernel's audit records");
    let count = |policy: &str| {
        let script = "unshare -U true 2>/dev/null; grep Seccomp_filters /proc/self/status";
        let done = Node::new(policy).container(script).run().done();
        done.stdout.trim_end().chars().last()
    };
    assert_eq!(count("[audit]\ndenials = false\n"), Some('1'));
    assert_eq!(count(RECORDED), Some('2'));
}

#[test]
fn nobody_is_given_what_another_process_of_the_host_was_denied() {
    requires!(kernel_records(), "needs the kernel's audit records");
    let node = Node::new(RECORDED);
    let (one, other) = (node.container(ASKS).up(), node.container("sleep 600").up());
    denied(&one, "unshare");
    assert!(denials(&other).is_empty(), "{:?}", denials(&other));
}

#[test]
fn a_container_that_nobody_knows_is_an_error() {
    requires!(kernel_records(), "needs the kernel's audit records");
    let container = Container::new(Bundle::sh("true"));
    assert!(container.verb("denials", &[]).refused().contains("no record of"));
}

#[test]
fn the_audit_system_is_asked_only_by_who_wants_its_records() {
    requires!(program "strace");
    let asks = |policy: &str| {
        let node = Node::new(policy);
        let container = node.container("true");
        let trace = container.bundle.dir().join("trace");
        let words = ["-f", "-e", "trace=socket", "-o", trace.to_str().unwrap()];
        container.run().through("strace", words).done();
        std::fs::read_to_string(&trace).unwrap().contains("NETLINK_AUDIT")
    };
    assert!(asks(RECORDED));
    assert!(!asks("[audit]\ndenials = false\n"));
}
