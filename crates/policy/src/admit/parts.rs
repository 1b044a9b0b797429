//! Who owns which property of the specification: each structure of the model, taken apart once.
//!
//! The macro writes a pattern without `..` and a constructor, so that a property that the model gets and nobody owns does not
//! compile; and it writes the table that docs/HARDENING.md prints, which a test holds against the specification's own schema.
//! Parts are admitted in the order of the lines: a control that relies on another one's decision stands behind it.

use super::owner::Owner;
use super::Draft;
use crate::control::ControlId;
use crate::controls::{
    annotations, apparmor, capabilities, cgroup_mount, core, device_rules, devices, exec, flags,
    groups, hooks, listener, memory, mounts, namespaces, netdev, no_new_privs, oom_score, paths,
    pids, proc_subset, propagation, rlimits, root, root_user, scheduler, seccomp, selinux, sysctls,
    tmpfs, unified, unknown, userns,
};
use crate::refusal::Refusal;
use crate::spec::{Linux, Process, Resources, Root, Spec};

/// `field "property" => why it is let in as asked;`, `field "property" => [Control: function, ...];` or
/// `field "property" => function;` for a structure that is taken apart itself.
macro_rules! admission {
    ($(#[$doc:meta])* $name:ident($type:ident) as $table:ident at $path:literal {
        $($field:ident $property:literal => $owner:tt $($function:ident)?;)*
    }) => {
        $(#[$doc])*
        pub(crate) fn $name(draft: &mut Draft<'_>, asked: $type) -> Result<$type, Refusal> {
            let $type { $($field),* } = asked;
            $(let $field = admission!(@part draft, $field, $owner $($function)?);)*
            Ok($type { $($field),* })
        }

        const $table: &[Owner] = &[$(Owner {
            within: $path,
            property: $property,
            controls: admission!(@controls $owner),
            reason: admission!(@reason $owner),
        }),*];
    };
    (@part $draft:ident, $part:ident, [$($id:ident: $module:ident::$function:ident),+]) => {{
        $(let $part = $draft.pass(ControlId::$id, $part, $module::$function)?;)+
        $part
    }};
    (@part $draft:ident, $part:ident, $reason:literal) => { $part };
    (@part $draft:ident, $part:ident, inside $function:ident) => { $function($draft, $part)? };
    (@controls [$($id:ident: $module:ident::$function:ident),+]) => { &[$(ControlId::$id),+] };
    (@controls $other:tt) => { &[] };
    (@reason $reason:literal) => { $reason };
    (@reason $other:tt) => { "" };
}

admission! {
    /// A whole configuration.
    spec(Spec) as SPEC at "" {
        unknown "(what this release does not know)" => [UnknownProperties: unknown::drop_all];
        oci_version "ociVersion" => "only says how to read the rest";
        annotations "annotations" => [Annotations: annotations::acting, KeptGroups: groups::kept];
        root "root" => inside root_parts;
        hooks "hooks" => [TrustedHooks: hooks::trusted, ListedHooks: hooks::listed];
        mounts "mounts" => [
            ProcSubset: proc_subset::subset,
            MountTypes: mounts::types,
            MountSources: mounts::sources,
            MountFlags: flags::flags,
            CgroupMount: cgroup_mount::readonly,
            SharedPropagation: propagation::of_mounts,
            RootTmpfs: tmpfs::provide
        ];
        linux "linux" => inside linux_parts;
        process "process" => inside maybe_process;
        hostname "hostname" => "a name in the container's own UTS namespace";
        domainname "domainname" => "a name in the container's own UTS namespace";
        warnings "(warnings)" => "about the document, made when it was read";
    }
}

admission! {
    /// The root file system.
    root_parts(Root) as ROOT at "root" {
        path "path" => [MountSources: mounts::of_root];
        readonly "readonly" => [ReadonlyRoot: root::readonly];
    }
}

admission! {
    /// The Linux part.
    linux_parts(Linux) as LINUX at "linux" {
        namespaces "namespaces" => [
            MountNamespace: namespaces::mount,
            HostNetwork: namespaces::network,
            HostPid: namespaces::pid,
            HostIpc: namespaces::ipc,
            HostUts: namespaces::uts,
            HostCgroup: namespaces::cgroup,
            AutoUserns: userns::auto
        ];
        uid_mappings "uidMappings" => [AutoUserns: userns::uid_mappings];
        gid_mappings "gidMappings" => [AutoUserns: userns::gid_mappings];
        net_devices "netDevices" => [NetDevices: netdev::moved];
        sysctl "sysctl" => [Sysctls: sysctls::allowed, Capabilities: capabilities::let_ping];
        devices "devices" => [DeviceNodes: devices::nodes];
        resources "resources" => inside maybe_resources;
        cgroups_path "cgroupsPath" => "the engine's place for the container, below its own";
        seccomp "seccomp" => [DefaultSeccomp: seccomp::default_filter, SeccompListener: listener::judged];
        rootfs_propagation "rootfsPropagation" => [SharedPropagation: propagation::of_root];
        masked_paths "maskedPaths" => [MaskedPaths: paths::masked];
        readonly_paths "readonlyPaths" => [ReadonlyPaths: paths::readonly];
        mount_label "mountLabel" => "read back with the process's label";
        intel_rdt "intelRdt" => "refused by every profile: this release does not support it";
        memory_policy "memoryPolicy" => "where the container's own memory lies, within its cpuset";
        personality "personality" => "the model has two domains, and neither weakens anything";
        time_offsets "timeOffsets" => "clocks of the container's own time namespace";
    }
}

admission! {
    /// A process: a container's first one, or one that `exec` adds.
    process(Process) as PROCESS at "process" {
        terminal "terminal" => "the terminal is the container's own; who gets it is console.peer's";
        console_size "consoleSize" => "rows and columns";
        user "user" => [RootUser: root_user::user];
        args "args" => "the program is what the container is for";
        env "env" => "the program's own, and read by nobody else";
        cwd "cwd" => "resolved inside the container with its ids";
        no_new_privileges "noNewPrivileges" => [NoNewPrivileges: no_new_privs::force];
        capabilities "capabilities" => [Capabilities: capabilities::ceiling];
        rlimits "rlimits" => [
            CoreLimit: core::limit,
            DefaultRlimits: rlimits::defaults,
            Scheduler: scheduler::limits
        ];
        apparmor_profile "apparmorProfile" => [
            ApparmorProfile: apparmor::profile,
            ExecLabels: exec::apparmor
        ];
        selinux_label "selinuxLabel" => [
            SelinuxAssign: selinux::assign,
            SelinuxLabel: selinux::label,
            ExecLabels: exec::selinux
        ];
        oom_score_adj "oomScoreAdj" => [OomScore: oom_score::adjust];
        scheduler "scheduler" => [Scheduler: scheduler::class];
        io_priority "ioPriority" => [Scheduler: scheduler::io];
        exec_cpu_affinity "execCPUAffinity" => "which of the container's processors, within its cpuset";
    }
}

admission! {
    /// Limits: a container's own, or those that `update` brings.
    resources(Resources) as RESOURCES at "linux.resources" {
        devices "devices" => [DeviceNodes: devices::rules, DeviceCgroup: device_rules::narrow];
        memory "memory" => [MemoryLimit: memory::limit];
        cpu "cpu" => "a share of the processors, within the parent's";
        pids "pids" => [PidsLimit: pids::limit];
        block_io "blockIO" => "a share of the disks, within the parent's";
        hugepage_limits "hugepageLimits" => "limits, within the parent's";
        network "network" => "cgroup v1 only: without effect";
        rdma "rdma" => "limits, within the parent's";
        unified "unified" => [UnifiedFiles: unified::known, OomGroup: memory::oom_group];
    }
}

fn maybe_process(
    draft: &mut Draft<'_>,
    asked: Option<Process>,
) -> Result<Option<Process>, Refusal> {
    asked.map(|asked| process(draft, asked)).transpose()
}

/// Controls add limits where a configuration has none.
fn maybe_resources(
    draft: &mut Draft<'_>,
    asked: Option<Resources>,
) -> Result<Option<Resources>, Refusal> {
    let given = asked.is_some();
    let admitted = limits(draft, asked.unwrap_or_default())?;
    Ok((given || admitted != Resources::default()).then_some(admitted))
}

/// Limits have two spellings, and the files of `unified` are written last: controls see one value.
pub(crate) fn limits(draft: &mut Draft<'_>, mut asked: Resources) -> Result<Resources, Refusal> {
    unified::join(&mut asked);
    resources(draft, asked)
}

/// The whole table, structure by structure.
pub fn owners() -> impl Iterator<Item = &'static Owner> {
    [SPEC, ROOT, LINUX, PROCESS, RESOURCES].into_iter().flatten().chain(super::leaves::owners())
}
