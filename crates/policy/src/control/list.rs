//! The list of controls, in the order in which a reader looks for them: id, and row of its file. What each is called and does
//! stands in its own file.

/// Hands the list to the macro `$then`.
macro_rules! with_controls {
    ($then:ident) => {
        $then! {
            PrivilegedBundle: bundle::PRIVILEGED,
            UnknownProperties: unknown::UNKNOWN,
            NoNewPrivileges: no_new_privs::FORCED,
            Capabilities: capabilities::CEILING,
            RootUser: root_user::USER,
            Scheduler: scheduler::PRIORITY,
            CoreLimit: core::LIMIT,
            DefaultSeccomp: seccomp::FILTER,
            SeccompListener: listener::AGENT,
            Landlock: landlock::LAYER,
            NestedUserns: userns::NESTED,
            MountNamespace: namespaces::MOUNT,
            HostNetwork: namespaces::NETWORK,
            HostPid: namespaces::PID,
            HostIpc: namespaces::IPC,
            HostUts: namespaces::UTS,
            HostCgroup: namespaces::CGROUP,
            NetDevices: netdev::MOVED,
            SharedPropagation: propagation::SHARED,
            ProcSubset: proc_subset::SUBSET,
            ReadonlyRoot: root::READONLY,
            RootTmpfs: tmpfs::PLACES,
            MaskedPaths: paths::MASKED,
            ReadonlyPaths: paths::READONLY,
            PidsLimit: pids::LIMIT,
            MemoryLimit: memory::LIMIT,
            UnifiedFiles: unified::FILES,
            DeviceCgroup: device_rules::NARROW,
            AutoUserns: userns::AUTO,
            RequiredUserns: userns::REQUIRED,
            MountTypes: mounts::TYPES,
            MountSources: mounts::SOURCES,
            MountFlags: flags::FLAGS,
            DeviceNodes: devices::NODES,
            TrustedHooks: hooks::TRUSTED,
            ListedHooks: hooks::LISTED,
            Annotations: annotations::ACTING,
            Sysctls: sysctls::ALLOWLIST,
            CgroupMount: cgroup_mount::READONLY,
            DefaultRlimits: rlimits::DEFAULTS,
            OomScore: oom_score::SCORE,
            OomGroup: memory::GROUP,
            SessionKeyring: keyring::OWN,
            KeptGroups: groups::KEPT,
            PreservedFds: descriptors::DIRECTORIES,
            ConsolePeer: console::PEER,
            CorePattern: core::PATTERN,
            SelinuxLabel: selinux::LABEL,
            SelinuxAssign: selinux::ASSIGN,
            ApparmorProfile: apparmor::PROFILE,
            ExecIds: exec::IDS,
            ExecLabels: exec::LABELS,
        }
    };
}

pub(super) use with_controls;
