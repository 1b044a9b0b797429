//! The controls, one row each, in the order in which a reader looks for them. The reasons for each value stand in
//! `profiles/*.toml`; a test compares the two.

use super::{Control, ControlId, Mode};

const OFF: Mode = Mode::Off;
const WARN: Mode = Mode::Warn;
const ON: Mode = Mode::Enforce;

/// All controls. Modes: privileged, baseline, hardened, restricted.
pub const CONTROLS: &[Control] = &[
    Control {
        id: ControlId::PrivilegedBundle,
        allow: &["bundle.privileged"],
        modes: [OFF, WARN, WARN, ON],
        summary: "a configuration that asks for everything at once is not run",
    },
    Control {
        id: ControlId::NoNewPrivileges,
        allow: &["process.new-privileges"],
        modes: [OFF, WARN, ON, ON],
        summary: "set-user-ID files and file capabilities add nothing",
    },
    Control {
        id: ControlId::Capabilities,
        allow: &["capabilities.all", "capabilities.*"],
        modes: [OFF, ON, ON, ON],
        summary: "all five capability sets are cut to a list",
    },
    Control {
        id: ControlId::RootUser,
        allow: &["process.root"],
        modes: [OFF, OFF, WARN, ON],
        summary: "no process runs as root or in its group",
    },
    Control {
        id: ControlId::CoreLimit,
        allow: &["rlimits.core"],
        modes: [OFF, WARN, ON, ON],
        summary: "no core dumps",
    },
    Control {
        id: ControlId::DefaultSeccomp,
        allow: &["seccomp.unconfined", "seccomp.*"],
        modes: [OFF, ON, ON, ON],
        summary: "the default system call filter is loaded",
    },
    Control {
        id: ControlId::Landlock,
        allow: &["landlock.off"],
        modes: [OFF, OFF, OFF, ON],
        summary: "a second layer under the read-only flags: no writing but to writable mounts and devices",
    },
    Control {
        id: ControlId::NestedUserns,
        allow: &["userns.nested"],
        modes: [OFF, OFF, ON, ON],
        summary: "no user namespaces can be made in the container's own",
    },
    Control {
        id: ControlId::MountNamespace,
        allow: &[],
        modes: [OFF, ON, ON, ON],
        summary: "the container has a mount namespace of its own",
    },
    Control {
        id: ControlId::HostNetwork,
        allow: &["namespaces.host-network"],
        modes: [OFF, ON, ON, ON],
        summary: "the container has a network of its own",
    },
    Control {
        id: ControlId::HostPid,
        allow: &["namespaces.host-pid"],
        modes: [OFF, ON, ON, ON],
        summary: "the container does not see the host's processes",
    },
    Control {
        id: ControlId::HostIpc,
        allow: &["namespaces.host-ipc"],
        modes: [OFF, ON, ON, ON],
        summary: "the container does not reach the host's shared memory and queues",
    },
    Control {
        id: ControlId::HostUts,
        allow: &["namespaces.host-uts"],
        modes: [OFF, ON, ON, ON],
        summary: "the container has a host name of its own",
    },
    Control {
        id: ControlId::HostCgroup,
        allow: &["namespaces.host-cgroup"],
        modes: [OFF, ON, ON, ON],
        summary: "the container sees its own control group as the root",
    },
    Control {
        id: ControlId::SharedPropagation,
        allow: &["mounts.shared"],
        modes: [OFF, WARN, ON, ON],
        summary: "mounts made in the container do not appear on the host",
    },
    Control {
        id: ControlId::ProcSubset,
        allow: &["mounts.proc-full"],
        modes: [OFF, OFF, OFF, ON],
        summary: "/proc shows processes only, and only the own user's",
    },
    Control {
        id: ControlId::ReadonlyRoot,
        allow: &["rootfs.writable"],
        modes: [OFF, WARN, ON, ON],
        summary: "the root file system is read-only",
    },
    Control {
        id: ControlId::RootTmpfs,
        allow: &["root.no-tmpfs"],
        modes: [OFF, OFF, ON, ON],
        summary: "a root that was made read-only gets writable /tmp, /var/tmp and /run",
    },
    Control {
        id: ControlId::MaskedPaths,
        allow: &["paths.unmasked"],
        modes: [OFF, ON, ON, ON],
        summary: "paths that show or change the host are hidden",
    },
    Control {
        id: ControlId::ReadonlyPaths,
        allow: &["paths.writable"],
        modes: [OFF, ON, ON, ON],
        summary: "paths that change the host when written are read-only",
    },
    Control {
        id: ControlId::PidsLimit,
        allow: &["pids.unlimited"],
        modes: [OFF, WARN, ON, ON],
        summary: "the number of tasks is limited",
    },
    Control {
        id: ControlId::MemoryLimit,
        allow: &["memory.unlimited"],
        modes: [OFF, OFF, WARN, ON],
        summary: "memory is limited",
    },
    Control {
        id: ControlId::DeviceCgroup,
        allow: &["devices.all"],
        modes: [OFF, ON, ON, ON],
        summary: "only devices that are named, and no creating of device nodes",
    },
    Control {
        id: ControlId::AutoUserns,
        allow: &["userns.host"],
        modes: [OFF, OFF, ON, ON],
        summary: "root in the container is nobody on the host",
    },
    Control {
        id: ControlId::RequiredUserns,
        allow: &["userns.fallback"],
        modes: [OFF, OFF, OFF, ON],
        summary: "what cannot have a user namespace of its own is refused",
    },
    Control {
        id: ControlId::MountSources,
        allow: &["mounts.host-root", "mounts.host-run", "mounts.host-var", "mounts.host-boot", "mounts.host-home", "mounts.host-etc", "mounts.host-dev", "mounts.host-proc", "mounts.host-sys", "mounts.host-cgroup", "mounts.host-system", "mounts.kernel-fs", "mounts.docker-sock", "mounts.containerd-sock", "mounts.crio-sock", "mounts.podman-sock", "mounts.systemd-sock", "mounts.engine-data"],
        modes: [OFF, ON, ON, ON],
        summary: "no sensitive place of the host is bound: its root, system directories, engine sockets, kernel file systems",
    },
    Control {
        id: ControlId::MountFlags,
        allow: &["mounts.suid", "mounts.dev", "mounts.exec"],
        modes: [OFF, OFF, ON, ON],
        summary: "mounts are nosuid and nodev",
    },
    Control {
        id: ControlId::DeviceNodes,
        allow: &["devices.gpu", "devices.kvm", "devices.fuse", "devices.tun", "devices.sound", "devices.video", "devices.input", "devices.serial", "devices.usb"],
        modes: [OFF, ON, ON, ON],
        summary: "no devices but those that every container has",
    },
    Control {
        id: ControlId::TrustedHooks,
        allow: &["hooks.untrusted"],
        modes: [OFF, WARN, ON, ON],
        summary: "hooks are programs that only root can change",
    },
    Control {
        id: ControlId::ListedHooks,
        allow: &["hooks.unlisted"],
        modes: [OFF, ON, ON, ON],
        summary: "hooks are those that the node's policy lists, where it has a list",
    },
    Control {
        id: ControlId::Sysctls,
        allow: &["sysctls.any"],
        modes: [OFF, OFF, OFF, ON],
        summary: "kernel parameters are only those that are known to be safe",
    },
    Control {
        id: ControlId::CgroupMount,
        allow: &["cgroup.writable"],
        modes: [OFF, ON, ON, ON],
        summary: "the cgroup file system is read-only unless asked for otherwise in a cgroup namespace",
    },
    Control {
        id: ControlId::DefaultRlimits,
        allow: &["rlimits.inherited"],
        modes: [OFF, OFF, ON, ON],
        summary: "open files and locked memory are limited where the configuration does not say",
    },
    Control {
        id: ControlId::OomScore,
        allow: &["oom.negative-score"],
        modes: [OFF, WARN, ON, ON],
        summary: "the host may kill the container before its own services when memory runs out",
    },
    Control {
        id: ControlId::OomGroup,
        allow: &["memory.oom-single"],
        modes: [OFF, OFF, OFF, ON],
        summary: "out of memory, a container ends as a whole",
    },
    Control {
        id: ControlId::SessionKeyring,
        allow: &["keyring.inherited"],
        modes: [OFF, OFF, ON, ON],
        summary: "the container does not have its caller's session keyring",
    },
    Control {
        id: ControlId::KeptGroups,
        allow: &["groups.kept"],
        modes: [OFF, OFF, ON, ON],
        summary: "a container of root's does not keep its caller's groups",
    },
    Control {
        id: ControlId::PreservedFds,
        allow: &["descriptors.directories"],
        modes: [OFF, OFF, ON, ON],
        summary: "no directory of the host is handed over as a descriptor",
    },
    Control {
        id: ControlId::ConsolePeer,
        allow: &["console.foreign"],
        modes: [OFF, ON, ON, ON],
        summary: "the terminal is handed to the caller or to root, and to nobody else",
    },
    Control {
        id: ControlId::CorePattern,
        allow: &["process.core-pipe"],
        modes: [OFF, OFF, OFF, ON],
        summary: "a crash cannot start a program as root of the host",
    },
    Control {
        id: ControlId::SelinuxLabel,
        allow: &["selinux.unlabelled"],
        modes: [OFF, ON, ON, ON],
        summary: "the SELinux label is one for containers where SELinux is on",
    },
    Control {
        id: ControlId::SelinuxAssign,
        allow: &["selinux.unassigned"],
        modes: [OFF, OFF, ON, ON],
        summary: "a container without an SELinux label gets one, with categories that no other container has",
    },
    Control {
        id: ControlId::ApparmorProfile,
        allow: &["apparmor.unconfined"],
        modes: [OFF, ON, ON, ON],
        summary: "an AppArmor profile confines the container where AppArmor is on",
    },
    Control {
        id: ControlId::ExecIds,
        allow: &[],
        modes: [ON, ON, ON, ON],
        summary: "exec runs with ids that the container maps",
    },
    Control {
        id: ControlId::ExecLabels,
        allow: &[],
        modes: [OFF, ON, ON, ON],
        summary: "exec keeps the container's security labels",
    },
];
