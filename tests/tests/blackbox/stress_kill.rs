//! The runtime is killed in the middle of its work: `delete --force` removes whatever it has made by then.

use casemate_tests::{host, races, requires, wait, Bundle, Canary, Cmd, Container};
use serde_json::json;
use std::time::{Duration, Instant, SystemTime};

/// Random enough for moments; the seed is printed when a test fails.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = now.as_nanos() as u64 | 1;
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        limit.mul_f64((self.0 % 10_000) as f64 / 10_000.0)
    }
}

/// Kill a command after some time; tells whether it was still at work.
fn kill_after(command: Cmd, time: Duration) -> bool {
    let running = command.spawn();
    // Not a sleep: those are rounded up to more than a whole step of what is to be hit.
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    running.signal(libc::SIGKILL);
    running.done().code() == 128 + libc::SIGKILL
}

fn duration_of(command: Cmd) -> Duration {
    let begin = Instant::now();
    command.ok();
    begin.elapsed()
}

fn clean_up(container: &Container, moment: Duration) {
    let done = container.delete().done();
    assert_eq!(done.code(), 0, "delete --force after a kill at {moment:?}: {}", done.stderr);
    container.wait_gone();
    assert_eq!(host::left_in_root(&container.root()), Vec::<std::path::PathBuf>::new());
}

fn bundles() -> [Bundle; 2] {
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "sleep 0.005"]}]);
    // The second takes the longer way: a user namespace, and hooks on both sides.
    let slow = Bundle::sh("sleep 600").user_namespace(100_000).edit(|c| {
        c["hooks"] = json!({"createRuntime": hook, "createContainer": hook});
    });
    [Bundle::sh("sleep 600"), slow]
}

#[test]
fn a_create_that_is_killed_at_any_moment_leaves_what_delete_removes() {
    requires!(root);
    let canary = Canary::new();
    let mut random = Random::new();
    for bundle in bundles() {
        let container = Container::new(bundle);
        let mut whole = duration_of(container.create());
        clean_up(&container, whole);
        let (mut killed, mut tried) = (0, 0);
        let wanted = races::rounds(25, 200);
        while killed < wanted {
            let moment = random.below(whole.mul_f64(1.1));
            tried += 1;
            match kill_after(container.create(), moment) {
                true => killed += 1,
                // It was quicker than that: others kept the machine less busy than when it was measured.
                false => whole = whole.min(moment.max(Duration::from_micros(500))),
            }
            clean_up(&container, moment);
            assert!(tried < 20 * wanted, "only {killed} of {tried} were hit");
        }
        // And the id is as good as new.
        container.create().ok();
        container.start().ok();
        clean_up(&container, whole);
    }
    canary.check();
}

#[test]
fn a_run_that_is_killed_at_any_moment_leaves_what_delete_removes() {
    requires!(root);
    let canary = Canary::new();
    let mut random = Random::new();
    for bundle in bundles() {
        let container = Container::new(bundle);
        let whole = duration_of(container.run_command(&["--detach"]));
        clean_up(&container, whole);
        for _ in 0..races::rounds(30, 200) {
            let moment = random.below(whole.mul_f64(1.5));
            kill_after(container.run(), moment);
            clean_up(&container, moment);
        }
    }
    canary.check();
}

#[test]
fn a_start_that_is_killed_leaves_the_container_created_or_running() {
    requires!(root);
    let mut random = Random::new();
    let [bundle, _] = bundles();
    let container = Container::new(bundle);
    container.create().ok();
    let whole = duration_of(container.start());
    clean_up(&container, whole);
    for _ in 0..races::rounds(25, 200) {
        container.create().ok();
        let moment = random.below(whole.mul_f64(1.2));
        kill_after(container.start(), moment);
        let status = container.state()["status"].as_str().unwrap().to_owned();
        assert!(["created", "running"].contains(&status.as_str()), "{moment:?}: {status}");
        // A created one can still be started, unless the word of the killed one arrives meanwhile.
        let again = container.start().done();
        let runs =
            again.stderr.contains("already running") || again.stderr.contains("running state");
        assert!(again.code() == 0 || runs, "killed at {moment:?}: {}", again.stderr);
        container.wait_status("running");
        container.exec("true").ok();
        clean_up(&container, moment);
    }
}

#[test]
fn an_exec_that_is_killed_harms_neither_the_container_nor_the_next_exec() {
    requires!(root);
    let mut random = Random::new();
    let [bundle, _] = bundles();
    let container = Container::new(bundle).up();
    let whole = duration_of(container.exec("true"));
    for _ in 0..races::rounds(40, 500) {
        let moment = random.below(whole.mul_f64(1.2));
        kill_after(container.exec("sleep 600"), moment);
        assert_eq!(container.state()["status"], "running", "killed at {moment:?}");
    }
    assert_eq!(container.exec("echo fine").ok().stdout, "fine\n");
    // What was joining when its parent died has gone; what had become a program runs on, as its caller may want.
    wait::until("nobody is left half way in", || {
        let done = container.exec("for p in /proc/[0-9]*; do readlink $p/exe; done; true").ok();
        wait::equal(&done.stdout.contains("casemate"), &false).map_err(|_| done.stdout)
    });
    clean_up(&container, whole);
}

#[test]
fn a_delete_that_is_killed_can_be_repeated() {
    requires!(root);
    let canary = Canary::new();
    let mut random = Random::new();
    let [bundle, _] = bundles();
    let container = Container::new(bundle).up();
    let whole = duration_of(container.delete());
    for _ in 0..races::rounds(25, 200) {
        container.create().ok();
        container.start().ok();
        let moment = random.below(whole.mul_f64(1.2));
        kill_after(container.delete(), moment);
        clean_up(&container, moment);
    }
    canary.check();
}
