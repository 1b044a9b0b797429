//! The part of the probe that reports what a configuration did to its process, as `key=value` lines. Where busybox has a
//! program that says the same, that is used instead.

use std::io::{Error, Result};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

/// Take the words that the probe itself does not know.
pub fn attempt(words: &[&str]) -> Result<()> {
    match words {
        ["facts"] => facts(),
        ["clock"] => clock(),
        ["raw", number, arguments @ ..] => raw(number, arguments),
        ["raw32", number, first] => raw_of_the_other_abi(number, first),
        ["notify", text] => notify(text),
        ["keyring"] => keyring(),
        ["persona"] => persona(),
        ["listen-abstract", name] => listen_abstract(name),
        ["connect-abstract", name] => connect_abstract(name),
        ["exhaust", kind, most, rest @ ..] => exhaust(kind, most, rest == ["hold"]),
        ["adopt", program, arguments @ ..] => adopt(program, arguments),
        other => panic!("probe: what is {other:?}?"),
    }
}

fn answer(result: i64) -> Result<i64> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn say(key: &str, value: Result<i64>) {
    match value {
        Ok(value) => println!("{key}={value}"),
        Err(e) => println!("{key}={e}"),
    }
}

/// Scheduling, priorities, memory policy, umask.
fn facts() -> Result<()> {
    // SAFETY: plain integers, or pointers to structures of the stated size that live through the call.
    unsafe {
        let mut param: libc::sched_param = std::mem::zeroed();
        say("policy", answer(libc::sched_getscheduler(0).into()));
        answer(libc::sched_getparam(0, &mut param).into())?;
        say("priority", Ok(param.sched_priority.into()));
        say(
            "nice",
            answer(libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0)).map(|n| 20 - n),
        );
        say("ioprio", answer(libc::syscall(libc::SYS_ioprio_get, 1, 0)));
        let (mut mode, mut nodes) = (0i32, [0u64; 16]);
        let result =
            libc::syscall(libc::SYS_get_mempolicy, &raw mut mode, nodes.as_mut_ptr(), 1024, 0, 0);
        say("mempolicy", answer(result).map(|_| mode.into()));
        say("nodes", Ok(nodes[0] as i64));
    }
    Ok(())
}

/// Seconds of the clocks that a time namespace shifts.
fn clock() -> Result<()> {
    for (name, id) in [("monotonic", libc::CLOCK_MONOTONIC), ("boottime", libc::CLOCK_BOOTTIME)] {
        // SAFETY: a timespec of ours.
        let seconds = unsafe {
            let mut time: libc::timespec = std::mem::zeroed();
            answer(libc::clock_gettime(id, &mut time).into()).map(|_| time.tv_sec)
        };
        say(name, seconds);
    }
    Ok(())
}

/// One system call with integers; the answer as `raw=`.
fn raw(number: &str, arguments: &[&str]) -> Result<()> {
    let parse = |text: &&str| text.parse::<i64>().unwrap_or_else(|e| panic!("probe: {text}: {e}"));
    let mut a = [0i64; 6];
    for (to, from) in a.iter_mut().zip(arguments) {
        *to = parse(from);
    }
    // SAFETY: the tests pass numbers of calls that take no pointers, or make them fail before they are used.
    let result = unsafe { libc::syscall(parse(&number), a[0], a[1], a[2], a[3], a[4], a[5]) };
    match answer(result) {
        Ok(value) => println!("raw={value}"),
        Err(e) => println!("errno={}", e.raw_os_error().unwrap_or(0)),
    }
    Ok(())
}

/// The same through the 32-bit entry of x86_64.
#[cfg(target_arch = "x86_64")]
fn raw_of_the_other_abi(number: &str, first: &str) -> Result<()> {
    let parse = |text: &str| text.parse::<i64>().unwrap_or_else(|e| panic!("probe: {text}: {e}"));
    let result: i64;
    // SAFETY: int 0x80 with integers; the registers that it may change are named.
    unsafe {
        std::arch::asm!(
            "push rbx", "mov rbx, {first}", "int 0x80", "pop rbx",
            first = in(reg) parse(first),
            inlateout("rax") parse(number) => result,
            in("rcx") 0i64, in("rdx") 0i64,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    println!("raw={}", result as i32);
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn raw_of_the_other_abi(_number: &str, _first: &str) -> Result<()> {
    Err(Error::from_raw_os_error(libc::ENOSYS))
}

/// What sd_notify(3) does.
fn notify(text: &str) -> Result<()> {
    let path =
        std::env::var_os("NOTIFY_SOCKET").ok_or_else(|| Error::from_raw_os_error(libc::ENOENT))?;
    UnixDatagram::unbound()?.send_to(text.as_bytes(), path).map(drop)
}

/// Listen on an abstract socket until killed.
fn listen_abstract(name: &str) -> Result<()> {
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    listener.incoming().try_for_each(|connection| connection.map(drop))
}

fn connect_abstract(name: &str) -> Result<()> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop)
}

/// The session keyring, as keyctl(2) describes it.
fn keyring() -> Result<()> {
    const KEYCTL_DESCRIBE: i64 = 6;
    const KEY_SPEC_SESSION_KEYRING: i64 = -3;
    let mut buffer = [0u8; 256];
    // SAFETY: pointer and length of one buffer.
    let n = answer(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_DESCRIBE,
            KEY_SPEC_SESSION_KEYRING,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    })?;
    let text = String::from_utf8_lossy(&buffer[..(n as usize).min(buffer.len())]).into_owned();
    println!("keyring={}", text.trim_end_matches('\0'));
    Ok(())
}

fn persona() -> Result<()> {
    // SAFETY: all ones only asks.
    say("personality", answer(unsafe { libc::personality(0xffff_ffff) }.into()));
    Ok(())
}

/// On the host, in the place of an engine's monitor: run a command, then wait for whatever it leaves behind.
fn adopt(program: &str, arguments: &[&str]) -> Result<()> {
    // SAFETY: sets a flag of this process; the pointer to the status may be null.
    unsafe {
        answer(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).into())?;
        let status = std::process::Command::new(program).args(arguments).status()?;
        println!("adopting={status}");
        while libc::waitpid(-1, std::ptr::null_mut(), 0) > 0 {}
    }
    Ok(())
}

/// Use up what a user may have of one kind, but no more than `most`; with `hold`, stay.
fn exhaust(kind: &str, most: &str, hold: bool) -> Result<()> {
    let one: fn(usize) -> i64 = match kind {
        // SAFETY: takes no memory. The descriptors stay open.
        "inotify" => |_| unsafe { libc::inotify_init1(0) }.into(),
        "signals" => queue_signal,
        "queues" => make_queue,
        other => panic!("probe: what is {other}?"),
    };
    let most = most.parse().unwrap_or_else(|e| panic!("probe: {most}: {e}"));
    // SAFETY: a set of signals of ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGRTMIN());
        answer(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()).into())?;
    }
    let used = (0..most).take_while(|number| one(*number) >= 0).count();
    println!("used={used}");
    if hold {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
    Ok(())
}

fn queue_signal(_: usize) -> i64 {
    // SAFETY: a signal that is blocked, to ourselves, without a value.
    unsafe {
        let value = libc::sigval { sival_ptr: std::ptr::null_mut() };
        libc::sigqueue(libc::getpid(), libc::SIGRTMIN(), value).into()
    }
}

fn make_queue(number: usize) -> i64 {
    let name = format!("/probe-{}-{number}\0", std::process::id());
    // SAFETY: names that end with a null; no attributes. What is unlinked lives on as long as its descriptor.
    unsafe {
        let queue = libc::mq_open(
            name.as_ptr().cast(),
            libc::O_CREAT | libc::O_RDWR,
            0o600 as libc::c_uint,
            std::ptr::null_mut::<libc::mq_attr>(),
        );
        libc::mq_unlink(name.as_ptr().cast());
        queue.into()
    }
}
