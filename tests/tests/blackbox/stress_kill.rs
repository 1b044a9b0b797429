//! The runtime is killed in the middle of its work: `delete --force` removes whatever it has made by then.

use crate::stress_cycles::assert_gone;
use casemate_tests::{requires, Bundle, Canary, Cmd, Container};
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
    assert_gone(container, &format!("killed at {moment:?}"));
    assert_eq!(std::fs::read_dir(container.root()).map_or(0, |dir| dir.count()), 0);
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
        // The quickest of some: a single one may have waited for others.
        let time = |_| {
            let whole = duration_of(container.create());
            clean_up(&container, whole);
            whole
        };
        let whole = (0..5).map(time).min().unwrap();
        let mut killed = 0;
        for _ in 0..50 {
            let moment = random.below(whole.mul_f64(1.1));
            killed += u32::from(kill_after(container.create(), moment));
            clean_up(&container, moment);
        }
        assert!(killed > 10, "only {killed} were hit");
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
        for _ in 0..30 {
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
    for _ in 0..25 {
        container.create().ok();
        let moment = random.below(whole.mul_f64(1.2));
        kill_after(container.start(), moment);
        std::thread::sleep(Duration::from_millis(5));
        let status = container.state()["status"].as_str().unwrap().to_owned();
        match status.as_str() {
            // Then it can still be started.
            "created" => drop(container.start().ok()),
            "running" => {}
            other => panic!("killed at {moment:?}, the container is {other}"),
        }
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
    for _ in 0..40 {
        let moment = random.below(whole.mul_f64(1.2));
        kill_after(container.exec("sleep 600"), moment);
        assert_eq!(container.state()["status"], "running", "killed at {moment:?}");
    }
    assert_eq!(container.exec("echo fine").ok().stdout, "fine\n");
    // What was joining when its parent died has gone; what had become a program runs on, as its caller may want.
    let done = container.exec("for p in /proc/[0-9]*; do readlink $p/exe; done; true").ok();
    assert!(!done.stdout.contains("casemate"), "{}", done.stdout);
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
    for _ in 0..25 {
        container.create().ok();
        container.start().ok();
        let moment = random.below(whole.mul_f64(1.2));
        kill_after(container.delete(), moment);
        clean_up(&container, moment);
    }
    canary.check();
}
