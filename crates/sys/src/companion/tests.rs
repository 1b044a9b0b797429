#![allow(clippy::unwrap_used)]

use super::*;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether a process is dumpable concerns all of its threads, and each test has one.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inode(path: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().ino()
}

fn order(proc: &std::fs::File, path: &str, value: &str) -> Option<Companion> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let writes = vec![(CString::new(path).unwrap(), value.as_bytes().to_vec())];
    let kinds = flag::NET | flag::IPC | flag::UTS;
    let order =
        Order { kinds, join: None, maker: Some((300_000, 300_000)), proc: proc.as_fd(), writes };
    let companion = Companion::start(order).unwrap();
    for file in ["gid_map", "uid_map"] {
        let path = format!("/proc/{}/{file}", companion.pid());
        std::fs::write(path, "0 300000 65536\n").unwrap();
    }
    companion.release().unwrap();
    Some(companion)
}

#[test]
fn namespaces_are_made_in_a_new_user_namespace_and_end_with_the_companion() {
    let _alone = alone();
    let proc = std::fs::File::open("/proc").unwrap();
    let Some(companion) = order(&proc, "sys/user/max_user_namespaces", "0") else { return };
    companion.wait().unwrap();
    let theirs = format!("/proc/{}/ns", companion.pid());
    for kind in ["user", "net", "ipc", "uts"] {
        let (own, other) = (format!("/proc/self/ns/{kind}"), format!("{theirs}/{kind}"));
        assert_ne!(inode(&own), inode(&other), "{kind}");
    }
    assert!(!process::is_dumpable());
    drop(companion);
    assert!(process::is_dumpable());
    assert!(std::fs::metadata(theirs).is_err());
}

#[test]
fn what_failed_is_told_by_step_and_errno() {
    let _alone = alone();
    let proc = std::fs::File::open("/proc").unwrap();
    let Some(companion) = order(&proc, "sys/kernel/casemate_has_none", "0") else { return };
    assert_eq!(companion.wait(), Err(Some((Step::Open(0), Errno::NOENT))));
    let Some(companion) = order(&proc, "sys/user/max_user_namespaces", "many") else { return };
    assert_eq!(companion.wait(), Err(Some((Step::Write(0), Errno::INVAL))));
}

#[test]
fn every_failure_is_told_in_one_word() {
    let word = Word::default();
    assert_eq!(word.get(), None);
    use Step::{Answer, Await, Compare, Enter, Group, Make, Open, User, Write};
    for step in [Enter, Await, Group, User, Make, Open(0), Open(7), Write(300), Compare(3), Answer]
    {
        word.set((step, Errno::TIMEDOUT));
        assert_eq!(word.get(), Some((step, Errno::TIMEDOUT)));
    }
}

/// It is about to tell that the channel is gone when the signal comes.
#[test]
fn a_companion_can_be_killed_at_any_time() {
    let _alone = alone();
    let proc = std::fs::File::open("/proc").unwrap();
    for round in 0..5000 {
        let order = Order {
            kinds: flag::UTS,
            join: None,
            maker: None,
            proc: proc.as_fd(),
            writes: Vec::new(),
        };
        let Ok(companion) = Companion::start(order) else { return };
        drop(crate::socket::end(&companion.channel));
        (0..round % 500).for_each(|_| std::hint::spin_loop());
        drop(companion);
    }
}

#[test]
fn a_companion_that_is_killed_is_not_waited_for_in_vain() {
    let _alone = alone();
    let proc = std::fs::File::open("/proc").unwrap();
    let Some(companion) = order(&proc, "sys/user/max_user_namespaces", "0") else { return };
    companion.dismiss();
    // It may have been quicker than the signal.
    assert!(matches!(companion.wait(), Ok(()) | Err(None)));
}
