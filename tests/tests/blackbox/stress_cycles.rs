//! Many containers at a time, and many commands on one: nothing is left, nothing happens twice, nothing hangs.

use casemate_tests::scratch::Dir;
use casemate_tests::{host, races, requires, wait, Bundle, Canary, Container, Done};
use std::sync::Barrier;

fn cycle(container: &Container) {
    container.create().ok();
    container.start().ok();
    container.kill("KILL").ok();
    // Killed is not yet gone: as every engine does, wait for the end and then delete.
    container.wait_status("stopped");
    container.verb("delete", &[]).ok();
}

#[test]
fn two_hundred_cycles_eight_at_a_time_leave_nothing() {
    requires!(root);
    let canary = Canary::new();
    let root = Dir::new("state");
    let containers: Vec<Container> =
        (0..8).map(|_| Container::new(Bundle::sh("sleep 600")).in_root(root.path())).collect();
    std::thread::scope(|scope| {
        for container in &containers {
            scope.spawn(move || (0..25).for_each(|_| cycle(container)));
        }
    });
    for container in &containers {
        container.wait_gone();
    }
    assert_eq!(host::left_in_root(root.path()), Vec::<std::path::PathBuf>::new());
    canary.check();
}

/// Run the same command several times at once.
fn at_once<const N: usize>(make: impl Fn(usize) -> casemate_tests::Cmd + Sync) -> Vec<Done> {
    let barrier = Barrier::new(N);
    std::thread::scope(|scope| {
        let run = |n| {
            let (barrier, make) = (&barrier, &make);
            scope.spawn(move || {
                let command = make(n);
                barrier.wait();
                command.done()
            })
        };
        let threads: Vec<_> = (0..N).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn winners(done: &[Done]) -> usize {
    done.iter().filter(|done| done.code() == 0).count()
}

#[test]
fn of_several_starts_exactly_one_wins() {
    requires!(root);
    for _ in 0..races::rounds(15, 200) {
        let container =
            Container::new(Bundle::sh("echo started >> /data/log; sleep 600").bind_own("/data"));
        container.create().ok();
        let done = at_once::<3>(|_| container.start());
        assert_eq!(winners(&done), 1, "{done:?}");
        for loser in done.iter().filter(|done| done.code() != 0) {
            assert!(
                loser.stderr.contains("already running") || loser.stderr.contains("running state"),
                "{}",
                loser.stderr
            );
        }
        assert_eq!(container.state()["status"], "running");
        let log = container.bundle.dir().join("shared/log");
        // The shell makes the file first and fills it afterwards: wait for the line, not for the file.
        wait::for_content(&log, "started\n");
        container.delete().ok();
        container.wait_gone();
    }
}

#[test]
fn of_several_creates_of_one_id_exactly_one_wins() {
    requires!(root);
    for _ in 0..races::rounds(15, 200) {
        let container = Container::new(Bundle::sh("sleep 600"));
        let done = at_once::<3>(|_| container.create());
        assert_eq!(winners(&done), 1, "{done:?}");
        for loser in done.iter().filter(|done| done.code() != 0) {
            assert!(loser.stderr.contains("already exists"), "{}", loser.stderr);
        }
        // The losers took nothing away from the winner.
        container.start().ok();
        container.exec("true").ok();
        container.delete().ok();
        container.wait_gone();
    }
}

#[test]
fn commands_that_meet_a_delete_fail_cleanly_and_nothing_is_left() {
    requires!(root);
    let canary = Canary::new();
    for _ in 0..races::rounds(15, 200) {
        let container = Container::new(Bundle::sh("sleep 600")).up();
        let done = at_once::<6>(|n| match n {
            0 | 1 => container.delete(),
            2 => container.verb("state", &[]),
            3 => container.exec("true"),
            4 => container.kill("TERM"),
            _ => container.verb("ps", &[]),
        });
        for (n, done) in done.iter().enumerate() {
            assert!(!done.stderr.contains("panicked"), "{done:?}");
            // The delete may end the process that `exec` had just added: its status is then that of the signal.
            if n == 3 && [128 + 9, 128 + 15].contains(&done.code()) {
                continue;
            }
            assert!(done.code() < 128 || done.code() == 255, "{done:?}");
            assert!(
                done.code() == 0 || !done.stderr.is_empty(),
                "a failure without a word: {done:?}"
            );
        }
        assert!(winners(&done[..2]) >= 1, "{done:?}");
        container.delete().ok();
        container.wait_gone();
    }
    canary.check();
}

#[test]
fn many_processes_join_one_container_at_a_time() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    for round in 0..races::rounds(5, 63) {
        let done = at_once::<8>(|n| container.exec(&format!("echo {round}-{n}; exit {n}")));
        for (n, done) in done.iter().enumerate() {
            assert_eq!(
                (done.code(), done.stdout.as_str()),
                (n as i32, format!("{round}-{n}\n").as_str()),
                "{}",
                done.stderr
            );
        }
    }
    // Init and whoever asks: the others have gone, and have been reaped.
    let done = container.exec("ls /proc | grep -c '^[0-9]'").ok();
    assert!(done.stdout.trim().parse::<u32>().unwrap() <= 5, "{}", done.stdout);
    container.delete().ok();
    container.wait_gone();
}
