//! What the default filter lets through and what it refuses, put to the compiled program.

#![allow(clippy::unwrap_used)]

use casemate_seccomp::{
    compile, default_filter, default_program, default_rules, restricted_rules, Action, Arch,
    Feature, FeatureSet, Program, SeccompData, Variant,
};

const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);
const EPROTONOSUPPORT: Action = Action::Errno(93);
const ESOCKTNOSUPPORT: Action = Action::Errno(94);
const EAFNOSUPPORT: Action = Action::Errno(97);

const NET_RAW: u64 = 1 << 13;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_NICE: u64 = 1 << 23;
const AUDIT_WRITE: u64 = 1 << 29;

struct Subject {
    program: Program,
    arch: Arch,
}

impl Subject {
    fn new(arch: Arch, caps: u64) -> Subject {
        Subject::of(arch, Variant::of_caps(caps))
    }

    fn of(arch: Arch, variant: Variant) -> Subject {
        let compiled = compile(&default_filter(arch, variant), arch).unwrap();
        assert_eq!(compiled.skipped_unknown, [""; 0]);
        Subject { program: compiled.program, arch }
    }

    fn restricted(arch: Arch, features: &[&str]) -> Subject {
        let features = FeatureSet::from_names(features).unwrap();
        Subject::of(arch, Variant { caps: 0, restricted: true, features })
    }

    fn with(arch: Arch, features: &[&str]) -> Subject {
        let features = FeatureSet::from_names(features).unwrap();
        Subject::of(arch, Variant { caps: 0, restricted: false, features })
    }

    fn ask(&self, name: &str, args: &[u64]) -> Action {
        let nr = self.arch.syscall_number(name).unwrap_or_else(|| panic!("no {name}"));
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let data = SeccompData::new(self.arch, nr, all);
        self.program.evaluate(self.arch, &data).unwrap().action()
    }
}

fn both() -> [Subject; 2] {
    [Subject::new(Arch::X86_64, 0), Subject::new(Arch::Aarch64, 0)]
}

#[test]
fn what_ordinary_programs_call_is_allowed() {
    let common = "read write openat close mmap mprotect munmap brk rt_sigaction rt_sigprocmask \
        rt_sigreturn ioctl pread64 pwrite64 readv writev execve exit exit_group wait4 waitid \
        futex futex_waitv set_robust_list set_tid_address rseq getrandom prlimit64 sigaltstack \
        epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 eventfd2 timerfd_create pidfd_open \
        pidfd_send_signal sched_getaffinity sched_yield madvise nanosleep clock_gettime \
        clock_nanosleep tgkill getpid gettid statx newfstatat faccessat2 openat2 close_range \
        accept4 bind connect listen sendmsg recvmsg getdents64 getcwd membarrier memfd_create \
        inotify_init1 signalfd4 splice copy_file_range fchmodat2 landlock_create_ruleset seccomp \
        prctl ptrace capset setuid setgid setgroups io_setup mseal getxattrat file_getattr \
        statmount listmount sendfile dup3 pipe2 ppoll pselect6 shmget semget mq_open";
    for subject in both() {
        for name in common.split_whitespace() {
            assert_eq!(subject.ask(name, &[0; 6]), Action::Allow, "{:?} {name}", subject.arch);
        }
    }
    let old = "open stat fork vfork poll select arch_prctl access pipe dup2 uretprobe uprobe";
    for name in old.split_whitespace() {
        assert_eq!(Subject::new(Arch::X86_64, 0).ask(name, &[]), Action::Allow, "{name}");
    }
}

#[test]
fn what_the_runtime_calls_after_loading_is_allowed() {
    let names = "close_range execve execveat sendmsg write exit_group seccomp prctl";
    for subject in both() {
        for name in names.split_whitespace() {
            assert_eq!(subject.ask(name, &[0; 6]), Action::Allow, "{name}");
        }
    }
}

#[test]
fn dangerous_calls_are_refused_as_forbidden() {
    let names = "unshare setns mount umount2 fsopen fsconfig fsmount move_mount open_tree \
        open_tree_attr mount_setattr pivot_root keyctl add_key request_key bpf perf_event_open \
        kexec_load userfaultfd move_pages name_to_handle_at open_by_handle_at pidfd_getfd kcmp \
        process_madvise init_module finit_module delete_module swapon reboot settimeofday \
        syslog quotactl acct chroot mbind fanotify_init lsm_set_self_attr sethostname";
    for subject in both() {
        for name in names.split_whitespace() {
            assert_eq!(subject.ask(name, &[0; 6]), EPERM, "{:?} {name}", subject.arch);
        }
    }
}

#[test]
fn calls_with_a_fallback_and_unknown_calls_look_absent() {
    for subject in both() {
        for name in ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "listns"] {
            assert_eq!(subject.ask(name, &[]), ENOSYS, "{name}");
        }
        let data = SeccompData::new(subject.arch, 1000, [0; 6]);
        let verdict = subject.program.evaluate(subject.arch, &data).unwrap();
        assert_eq!(verdict.action(), ENOSYS);
    }
}

#[test]
fn clone_makes_threads_but_no_namespaces() {
    let thread = 0x3d_0f00;
    for subject in both() {
        assert_eq!(subject.ask("clone", &[thread]), Action::Allow);
        assert_eq!(subject.ask("clone", &[17]), Action::Allow);
        for bit in [17, 25, 26, 27, 28, 29, 30] {
            assert_eq!(subject.ask("clone", &[thread | 1 << bit]), EPERM, "bit {bit}");
        }
    }
    let s390x = Subject::new(Arch::S390X, 0);
    assert_eq!(s390x.ask("clone", &[1 << 28, thread]), Action::Allow);
    assert_eq!(s390x.ask("clone", &[0, thread | 1 << 28]), EPERM);
}

#[test]
fn only_listed_socket_families_open() {
    for subject in both() {
        for family in 0..60 {
            let expected =
                if [1, 2, 10, 16].contains(&family) { Action::Allow } else { EAFNOSUPPORT };
            assert_eq!(subject.ask("socket", &[family, 1, 0]), expected, "family {family}");
        }
        // The kernel takes an int: the upper half must not change the answer.
        assert_eq!(subject.ask("socket", &[0x5_0000_0026, 5, 0]), EAFNOSUPPORT);
        assert_eq!(subject.ask("socketpair", &[1, 1, 0]), Action::Allow);
        assert_eq!(subject.ask("socketpair", &[30, 1, 0]), EAFNOSUPPORT);
    }
    let raw = Subject::new(Arch::X86_64, NET_RAW);
    assert_eq!(raw.ask("socket", &[17, 3, 0]), Action::Allow);
}

#[test]
fn netlink_protocols_are_chosen() {
    let plain = Subject::new(Arch::X86_64, 0);
    for (protocol, expected) in [
        (0, Action::Allow),
        (4, Action::Allow),
        (15, Action::Allow),
        (16, Action::Allow),
        (6, EPROTONOSUPPORT),
        (9, EPROTONOSUPPORT),
        (12, EPROTONOSUPPORT),
        (21, EPROTONOSUPPORT),
    ] {
        assert_eq!(plain.ask("socket", &[16, 3, protocol]), expected, "protocol {protocol}");
    }
    let audit = Subject::new(Arch::X86_64, AUDIT_WRITE);
    assert_eq!(audit.ask("socket", &[16, 3, 9]), Action::Allow);
}

#[test]
fn terminal_injection_is_refused_whatever_the_upper_half_says() {
    for subject in both() {
        for request in [0x5412_u64, 0x541c] {
            assert_eq!(subject.ask("ioctl", &[0, request]), EPERM);
            assert_eq!(subject.ask("ioctl", &[0, 0xffff_ffff_0000_0000 | request]), EPERM);
        }
        // TCGETS, and a request whose top bit a C library sign-extends.
        assert_eq!(subject.ask("ioctl", &[0, 0x5401]), Action::Allow);
        assert_eq!(subject.ask("ioctl", &[0, 0xffff_ffff_8004_5430]), Action::Allow);
    }
}

#[test]
fn device_nodes_are_refused_and_fifos_are_not() {
    let x86_64 = Subject::new(Arch::X86_64, 0);
    for (mode, expected) in
        [(0o010644, Action::Allow), (0o100644, Action::Allow), (0o060600, EPERM), (0o020600, EPERM)]
    {
        assert_eq!(x86_64.ask("mknod", &[0, mode, 0]), expected, "{mode:o}");
        assert_eq!(x86_64.ask("mknodat", &[0, 0, mode, 0]), expected, "{mode:o}");
    }
}

#[test]
fn personality_is_limited_to_five_values() {
    for subject in both() {
        for value in [0, 8, 0x20000, 0x20008, 0xffff_ffff] {
            assert_eq!(subject.ask("personality", &[value]), Action::Allow, "{value:#x}");
        }
        for value in [0x0040_0000, 0x0004_0000, 2] {
            assert_eq!(subject.ask("personality", &[value]), EPERM, "{value:#x}");
        }
    }
}

#[test]
fn capabilities_open_the_calls_they_are_for() {
    let admin = Subject::new(Arch::X86_64, SYS_ADMIN);
    for name in ["mount", "unshare", "clone3", "bpf", "perf_event_open", "sethostname"] {
        assert_eq!(admin.ask(name, &[]), Action::Allow, "{name}");
    }
    assert_eq!(admin.ask("clone", &[1 << 28]), Action::Allow);
    assert_eq!(admin.ask("mbind", &[]), EPERM);
    assert_eq!(admin.ask("io_uring_setup", &[]), ENOSYS);
    assert_eq!(Subject::new(Arch::X86_64, SYS_NICE).ask("mbind", &[]), Action::Allow);
}

#[test]
fn compatibility_abis_are_killed() {
    let native = Subject::new(Arch::X86_64, 0);
    for (arch, nr) in [(Arch::X86, 102), (Arch::X32, 0x4000_0000)] {
        let data = SeccompData::new(arch, nr, [0; 6]);
        let verdict = native.program.evaluate(Arch::X86_64, &data).unwrap();
        assert_eq!(verdict.action(), Action::KillProcess);
    }
}

#[test]
fn every_group_gives_its_reason() {
    let features = Feature::all().iter().flat_map(|feature| feature.rules);
    for rule in default_rules().iter().chain(restricted_rules()).chain(features) {
        assert!(rule.comment.len() >= 4 && rule.comment.ends_with('.'), "{rule:?}");
        assert!(rule.names().next().is_some());
    }
    for feature in Feature::all() {
        assert!(feature.comment.ends_with('.') && feature.comment.len() > 20, "{}", feature.name);
    }
}

#[test]
fn every_architecture_has_a_default_program() {
    for arch in Arch::all() {
        let compiled = compile(&default_filter(arch, Variant::default()), arch).unwrap();
        assert!(compiled.program.insns().len() < 600, "{arch:?}");
    }
}

#[test]
fn precompiled_programs_are_those_the_compiler_makes() {
    const CHROOT: u64 = 1 << 18;
    const MKNOD: u64 = 1 << 27;
    const ORDINARY: u64 = 0x4eb;
    let sets = [0, CHROOT, CHROOT | MKNOD | AUDIT_WRITE, CHROOT | MKNOD | AUDIT_WRITE | NET_RAW];
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for caps in sets.into_iter().flat_map(|set| [set, set | ORDINARY, set | SYS_NICE]) {
            let variant = Variant::of_caps(caps);
            let compiled = compile(&default_filter(arch, variant), arch).unwrap().program;
            assert_eq!(default_program(arch, variant), Ok(compiled), "{arch:?} {caps:#x}");
        }
        let variant = Variant { restricted: true, ..Variant::of_caps(ORDINARY) };
        let compiled = compile(&default_filter(arch, variant), arch).unwrap().program;
        assert_eq!(default_program(arch, variant), Ok(compiled), "{arch:?} restricted");
    }
}

#[test]
fn disguised_and_unused_internet_protocols_are_refused() {
    const EPROTO: Action = EPROTONOSUPPORT;
    for subject in both() {
        // SOCK_PACKET is a packet socket under the name of IPv4, with any flags beside the type.
        for kind in [10, 0x8000a, 0x1_0000_000a] {
            assert_eq!(subject.ask("socket", &[2, kind, 0x0300]), EPERM, "{kind:#x}");
        }
        for family in [2, 10] {
            assert_eq!(subject.ask("socket", &[family, 6, 0]), ESOCKTNOSUPPORT);
            assert_eq!(subject.ask("socket", &[family, 0x80006, 33]), ESOCKTNOSUPPORT);
            assert_eq!(subject.ask("socket", &[family, 2, 115]), EPROTO);
            for (kind, protocol) in [(1, 0), (1, 6), (1, 262), (2, 17), (2, 1), (5, 132), (3, 115)]
            {
                assert_eq!(subject.ask("socket", &[family, kind, protocol]), Action::Allow);
            }
        }
    }
    let raw = Subject::new(Arch::X86_64, NET_RAW);
    assert_eq!(raw.ask("socket", &[2, 10, 0x0300]), Action::Allow);
}

#[test]
fn restricted_refuses_more_and_allows_nothing_more() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let restricted = Subject::restricted(arch, &[]);
        for name in ["ptrace", "process_vm_readv", "process_vm_writev", "vmsplice"] {
            assert_eq!(restricted.ask(name, &[]), EPERM, "{name}");
        }
        assert_eq!(restricted.ask("cachestat", &[]), ENOSYS);
        for (protocol, expected) in [(0, Action::Allow), (4, Action::Allow)] {
            assert_eq!(restricted.ask("socket", &[16, 3, protocol]), expected);
        }
        for protocol in [15, 16, 9, 12] {
            assert_eq!(restricted.ask("socket", &[16, 3, protocol]), EPROTONOSUPPORT);
        }
        assert_eq!(restricted.ask("socket", &[2, 5, 0]), ESOCKTNOSUPPORT);
        assert_eq!(restricted.ask("socket", &[10, 1, 132]), EPROTONOSUPPORT);
    }
    assert_eq!(Subject::restricted(Arch::X86_64, &[]).ask("modify_ldt", &[]), EPERM);
    let traced = Subject::restricted(Arch::X86_64, &["ptrace"]);
    assert_eq!(traced.ask("ptrace", &[]), Action::Allow);
    assert_eq!(traced.ask("vmsplice", &[]), EPERM);
}

#[test]
fn features_open_what_they_are_for() {
    let cases: [(&str, &str, &[u64]); 19] = [
        ("io_uring", "io_uring_setup", &[]),
        ("keyring", "keyctl", &[]),
        ("bpf", "bpf", &[]),
        ("perf", "perf_event_open", &[]),
        ("mount", "move_mount", &[]),
        ("userfaultfd", "userfaultfd", &[]),
        ("personality", "personality", &[0x0040_0000]),
        ("af_alg", "socket", &[38, 5, 0]),
        ("vsock", "socket", &[40, 1, 0]),
        ("can", "socket", &[29, 3, 1]),
        ("bluetooth", "socket", &[31, 1, 3]),
        ("netlink", "socket", &[16, 3, 12]),
        ("numa", "mbind", &[]),
        ("handles", "name_to_handle_at", &[]),
        ("fanotify", "fanotify_init", &[]),
        ("lsm", "lsm_list_modules", &[]),
        ("ptrace", "pidfd_getfd", &[]),
        ("kcmp", "kcmp", &[]),
        ("tiocsti", "ioctl", &[0, 0x5412]),
    ];
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for (feature, name, args) in cases {
            assert_ne!(Subject::new(arch, 0).ask(name, args), Action::Allow, "{name}");
            assert_eq!(Subject::with(arch, &[feature]).ask(name, args), Action::Allow, "{name}");
        }
        let nested = Subject::with(arch, &["userns"]);
        for name in ["clone3", "unshare", "setns"] {
            assert_eq!(nested.ask(name, &[]), Action::Allow, "{name}");
        }
        assert_eq!(nested.ask("clone", &[1 << 28]), Action::Allow);
        assert_eq!(nested.ask("mount", &[]), EPERM);
    }
}

#[test]
fn compat32_admits_the_32_bit_abi_under_the_same_rules() {
    let x86_64 = Subject::with(Arch::X86_64, &["compat32"]);
    let subject = Subject { program: x86_64.program.clone(), arch: Arch::X86 };
    let at = |name: &str, args: &[u64]| {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let nr = subject.arch.syscall_number(name).unwrap();
        let data = SeccompData::new(Arch::X86, nr, all);
        subject.program.evaluate(Arch::X86_64, &data).unwrap().action()
    };
    for name in ["read", "mmap2", "fcntl64", "set_thread_area", "clock_gettime64", "_llseek"] {
        assert_eq!(at(name, &[]), Action::Allow, "{name}");
    }
    assert_eq!(at("socket", &[38, 5, 0]), EAFNOSUPPORT);
    // SYS_SOCKET and SYS_SOCKETPAIR of the multiplexer, then SYS_CONNECT.
    assert_eq!(at("socketcall", &[1, 0]), EPERM);
    assert_eq!(at("socketcall", &[8, 0]), EPERM);
    assert_eq!(at("socketcall", &[3, 0]), Action::Allow);
    assert_eq!(at("clone", &[1 << 28]), EPERM);
    assert_eq!(at("keyctl", &[]), EPERM);
    // x32 stays closed, and aarch64 has a 32-bit ABI of its own.
    let x32 = SeccompData::new(Arch::X32, 0x4000_0000, [0; 6]);
    let verdict = x86_64.program.evaluate(Arch::X86_64, &x32).unwrap();
    assert_eq!(verdict.action(), Action::KillProcess);
    let arm = Subject::with(Arch::Aarch64, &["compat32"]);
    let read = SeccompData::new(Arch::Arm, Arch::Arm.syscall_number("read").unwrap(), [0; 6]);
    assert_eq!(arm.program.evaluate(Arch::Aarch64, &read).unwrap().action(), Action::Allow);
    let both = Subject::with(Arch::X86_64, &["compat32", "socketcall"]);
    let multiplexed = SeccompData::new(
        Arch::X86,
        Arch::X86.syscall_number("socketcall").unwrap(),
        [1, 0, 0, 0, 0, 0],
    );
    assert_eq!(both.program.evaluate(Arch::X86_64, &multiplexed).unwrap().action(), Action::Allow);
}

#[test]
fn names_of_features_are_taken_as_people_write_them() {
    let set = FeatureSet::from_names(["seccomp.io_uring", "+userns", "bpf"]).unwrap();
    let names: Vec<&str> = set.iter().map(|feature| feature.name).collect();
    assert_eq!(names, ["bpf", "io_uring", "userns"]);
    assert!(set.contains("userns") && !set.contains("mount") && !set.is_empty());
    let error = FeatureSet::from_names(["seccomp.everything"]).unwrap_err().to_string();
    assert!(error.contains("seccomp.everything") && error.contains("io_uring"), "{error}");
}

#[test]
fn what_another_filter_refuses_of_a_feature_is_found() {
    let arch = Arch::X86_64;
    let engine = Subject::new(arch, 0).program;
    let feature = |name: &str| Feature::all().iter().find(|f| f.name == name).unwrap();
    assert_eq!(feature("io_uring").refused_by(arch, &engine), ["io_uring_enter"]);
    assert_eq!(feature("af_alg").refused_by(arch, &engine), ["socket"]);
    let with = Subject::with(arch, &["io_uring", "af_alg"]).program;
    assert!(feature("io_uring").refused_by(arch, &with).is_empty());
    assert!(feature("af_alg").refused_by(arch, &with).is_empty());
    assert!(feature("ptrace").refused_by(arch, &engine).len() == 1);
}
