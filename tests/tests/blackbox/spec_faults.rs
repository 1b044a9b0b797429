//! A kernel that does not do what it is asked for, or says that it has: every command ends.

use casemate_tests::filter::answer;
use casemate_tests::{requires, Bundle, Container};

/// `create`, what becomes of it, and an `exec` into another container.
fn every_command_ends(number: libc::c_long, errno: i32) {
    let running = Container::new(Bundle::sh("sleep 600")).up();
    let container = Container::new(Bundle::sh("sleep 600"));
    let create = answer(container.create(), number, errno).done();
    if create.status.success() {
        container.start().ok();
        container.exec("true").ok();
    }
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new(), "{}", create.stderr);
    let run = answer(Container::new(Bundle::sh("true")).run(), number, errno).done();
    let exec = answer(running.exec("true"), number, errno).done();
    for done in [create, run, exec] {
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        assert!(done.status.success() || !done.stderr.is_empty());
    }
}

/// What they make ends without a signal, too.
#[test]
fn commands_end_where_no_signal_is_sent() {
    requires!(root);
    every_command_ends(libc::SYS_pidfd_send_signal, libc::EPERM);
    every_command_ends(libc::SYS_pidfd_send_signal, 0);
}

#[test]
fn commands_end_where_no_message_arrives() {
    requires!(root);
    every_command_ends(libc::SYS_sendmsg, libc::EPERM);
    every_command_ends(libc::SYS_sendmsg, 0);
    every_command_ends(libc::SYS_recvmsg, 0);
}

#[test]
fn commands_end_where_no_limit_is_set() {
    requires!(root);
    every_command_ends(libc::SYS_prlimit64, libc::EPERM);
    every_command_ends(libc::SYS_prlimit64, 0);
}
