//! Files of the kernel and of the host that a container should not read or write, and devices.

use crate::sys::{c, check, failed};
use crate::{absent, Entry};
use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Result, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

/// Opened for writing, not written.
fn writable(path: &str) -> Result<()> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().write(true).custom_flags(flags).open(path).map(drop)
}

/// At least one byte can be read: a file that is covered by an empty one tells nothing.
fn readable(path: &str) -> Result<()> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.read(&mut [0; 1])? {
        0 => Err(Error::from_raw_os_error(libc::EACCES)),
        _ => Ok(()),
    }
}

fn has_entries(path: &str) -> Result<()> {
    match std::fs::read_dir(path)?.next() {
        None => Err(Error::from_raw_os_error(libc::EACCES)),
        Some(entry) => entry.map(drop),
    }
}

fn created(path: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|_| std::fs::remove_file(path))
}

/// Copy a program and run it.
fn executed_from(dir: &str) -> Result<()> {
    let path = format!("{dir}/copied");
    let mut copy = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let mut program = Vec::new();
    File::open("/proc/self/exe")?.read_to_end(&mut program)?;
    copy.write_all(&program)?;
    drop(copy);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    let ran = std::process::Command::new(&path).arg("--gained").output();
    std::fs::remove_file(&path)?;
    match ran?.status.success() {
        true => Ok(()),
        false => Err(failed("the copy failed")),
    }
}

/// A kernel address that is not zero.
fn kernel_addresses() -> Result<()> {
    let mut text = String::new();
    File::open("/proc/kallsyms")?.take(4096).read_to_string(&mut text)?;
    let shown = text.lines().any(|line| !line.starts_with("0000000000000000"));
    if shown {
        Ok(())
    } else {
        Err(Error::from_raw_os_error(libc::EACCES))
    }
}

fn cgroup_made() -> Result<()> {
    let path = "/sys/fs/cgroup/attack";
    std::fs::create_dir(path).and_then(|()| std::fs::remove_dir(path))
}

/// What must stay closed, one line each.
pub fn all() -> Vec<Entry> {
    vec![
        ("write core_pattern", || writable("/proc/sys/kernel/core_pattern")),
        ("write modprobe", || writable("/proc/sys/kernel/modprobe")),
        ("write ip_forward", || writable("/proc/sys/net/ipv4/ip_forward")),
        ("write sysrq-trigger", || writable("/proc/sysrq-trigger")),
        ("read kcore", || readable("/proc/kcore")),
        ("read kmsg", || readable("/proc/kmsg")),
        ("read kallsyms", kernel_addresses),
        ("read keys", || readable("/proc/keys")),
        ("read timer_list", || readable("/proc/timer_list")),
        ("read interrupts", || readable("/proc/interrupts")),
        ("read slabinfo", || readable("/proc/slabinfo")),
        ("read vmallocinfo", || readable("/proc/vmallocinfo")),
        ("read kpageflags", || readable("/proc/kpageflags")),
        ("read sched_debug", || readable("/proc/sched_debug")),
        ("list acpi", || has_entries("/proc/acpi")),
        ("list asound", || has_entries("/proc/asound")),
        ("list scsi", || has_entries("/proc/scsi")),
        ("list /sys/firmware", || has_entries("/sys/firmware")),
        ("list powercap", || has_entries("/sys/devices/virtual/powercap")),
        ("list debugfs", || has_entries("/sys/kernel/debug")),
        ("list tracefs", || has_entries("/sys/kernel/tracing")),
        ("list securityfs", || has_entries("/sys/kernel/security")),
        ("list slab", || has_entries("/sys/kernel/slab")),
        ("list bpffs", || has_entries("/sys/fs/bpf")),
        ("write uevent_helper", || writable("/sys/kernel/uevent_helper")),
        ("write a module's parameter", || writable("/sys/module/kernel/parameters/panic")),
        ("write vmcoreinfo", || writable("/sys/kernel/vmcoreinfo")),
        ("write an interrupt's affinity", || writable("/proc/irq/default_smp_affinity")),
        ("write a pressure trigger", || writable("/proc/pressure/memory")),
        ("write /proc/1/oom_score_adj down", || {
            std::fs::write("/proc/self/oom_score_adj", "-1000")
        }),
        ("make a cgroup", cgroup_made),
        ("write cgroup.procs", || writable("/sys/fs/cgroup/cgroup.procs")),
        ("write to /", || created("/attack")),
        ("write to /etc", || created("/etc/attack")),
        ("write to /usr", || created("/usr/bin/attack")),
        ("write to /tmp", || created("/tmp/attack")),
        ("execute from /tmp", || executed_from("/tmp")),
        ("execute from /dev/shm", || executed_from("/dev/shm")),
        ("write to /dev", || created("/dev/attack")),
        ("look through /proc/1/root", || {
            let mine = std::fs::metadata("/")?;
            let theirs = std::fs::metadata("/proc/1/root/")?;
            use std::os::unix::fs::MetadataExt;
            match (mine.dev(), mine.ino()) == (theirs.dev(), theirs.ino()) {
                true => Err(absent()),
                false => Ok(()),
            }
        }),
    ]
}

fn node(kind: libc::mode_t, major: u32, minor: u32) -> Result<()> {
    let name = format!("/tmp/node-{major}-{minor}");
    let path = c(&name);
    // SAFETY: a C string.
    check(unsafe { libc::mknod(path.as_ptr(), kind | 0o600, libc::makedev(major, minor)) }.into())?;
    let opened = readable(&name);
    std::fs::remove_file(&name)?;
    opened
}

/// The first disk of the host, by number.
fn disk() -> Result<()> {
    let text = std::fs::read_to_string("/proc/partitions")?;
    let mut numbers = text.lines().skip(2).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    });
    let (major, minor) = numbers.next().ok_or_else(absent)?;
    node(libc::S_IFBLK, major, minor)
}

/// Device nodes that exist, and such as are made.
pub fn devices() -> Vec<Entry> {
    vec![
        ("make and read memory", || node(libc::S_IFCHR, 1, 1)),
        ("make and read kmsg", || node(libc::S_IFCHR, 1, 11)),
        ("make and read the first disk", disk),
        ("open /dev/mem", || readable("/dev/mem")),
        ("open /dev/kmsg", || readable("/dev/kmsg")),
        ("open /dev/fuse", || writable("/dev/fuse")),
        ("open /dev/kvm", || writable("/dev/kvm")),
        ("open /dev/net/tun", || writable("/dev/net/tun")),
        ("open /dev/null", || writable("/dev/null")),
        ("open /dev/ptmx", || writable("/dev/ptmx")),
    ]
}
