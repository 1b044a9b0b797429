//! Who owns the properties inside of a part: the structures that a control is handed whole.
//!
//! As in [`parts`](super::parts), a property that the model gets and nobody owns does not compile.

use super::owner::Owner;
use crate::control::ControlId;
use crate::spec::{
    BlockIo, Capabilities, ConsoleSize, Cpu, Device, DeviceRule, ExecCpuAffinity, Hook, Hooks,
    HugepageLimit, IdMapping, IntelRdt, InterfacePriority, IoPriority, Memory, MemoryPolicy, Mount,
    Namespace, NetDevice, Network, Personality, Pids, Rdma, Rlimit, Scheduler, SeccompArg,
    SeccompProfile, SeccompSyscall, ThrottleDevice, TimeOffset, User, WeightDevice,
};

/// `field "property" => [Control, ...];` for what a control looks at, `field "property" => "why";` for what goes on with its part.
macro_rules! leaves {
    ($($type:ident at $path:literal { $($field:ident $property:literal => $owner:tt;)* })*) => {
        /// Never called: that it compiles is what it is for.
        #[allow(dead_code, clippy::too_many_arguments)]
        mod whole {
            use super::*;
            $(#[allow(non_snake_case)]
            fn $type(asked: &$type) {
                let $type { $($field),* } = asked;
                $(let _: &dyn std::any::Any = $field;)*
            })*
        }

        const LEAVES: &[&[Owner]] = &[$(&[$(Owner {
            within: $path,
            property: $property,
            controls: leaves!(@controls $owner),
            reason: leaves!(@reason $owner),
        }),*]),*];
    };
    (@controls [$($id:ident),+]) => { &[$(ControlId::$id),+] };
    (@controls $reason:literal) => { &[] };
    (@reason $reason:literal) => { $reason };
    (@reason $other:tt) => { "" };
}

leaves! {
    Hooks at "hooks" {
        prestart "prestart" => [TrustedHooks, ListedHooks];
        create_runtime "createRuntime" => [TrustedHooks, ListedHooks];
        create_container "createContainer" => [TrustedHooks, ListedHooks];
        start_container "startContainer" => "a program of the image, confined like the container's own";
        poststart "poststart" => [TrustedHooks, ListedHooks];
        poststop "poststop" => [TrustedHooks, ListedHooks];
    }
    Hook at "hooks[]" {
        path "path" => [TrustedHooks, ListedHooks];
        args "args" => [ListedHooks];
        env "env" => [ListedHooks];
        timeout "timeout" => [TrustedHooks];
    }
    Mount at "mounts[]" {
        destination "destination" => [MountSources];
        kind "type" => [MountSources];
        source "source" => [MountSources];
        options "options" => [MountSources, MountFlags, CgroupMount, SharedPropagation, ProcSubset];
        uid_mappings "uidMappings" => "what files of the mount are shown as, in the container's own ids";
        gid_mappings "gidMappings" => "what files of the mount are shown as, in the container's own ids";
    }
    IdMapping at "linux.uidMappings[], linux.gidMappings[]" {
        container_id "containerID" => "a name for the id, inside";
        host_id "hostID" => [AutoUserns];
        size "size" => [AutoUserns];
    }
    Namespace at "linux.namespaces[]" {
        kind "type" => [MountNamespace, HostNetwork, HostPid, HostIpc, HostUts, HostCgroup, AutoUserns];
        path "path" => [HostNetwork, HostPid, HostIpc, HostUts, HostCgroup, AutoUserns];
    }
    Device at "linux.devices[]" {
        path "path" => [DeviceNodes];
        kind "type" => [DeviceNodes];
        major "major" => [DeviceNodes];
        minor "minor" => [DeviceNodes];
        file_mode "fileMode" => "permissions of the container's own node";
        uid "uid" => "owner of the container's own node, in its ids";
        gid "gid" => "group of the container's own node, in its ids";
    }
    NetDevice at "linux.netDevices{}" {
        name "name" => [NetDevices];
    }
    IntelRdt at "linux.intelRdt" {
        clos_id "closID" => "refused with the rest of it";
        schemata "schemata" => "refused with the rest of it";
        l3_cache_schema "l3CacheSchema" => "refused with the rest of it";
        mem_bw_schema "memBwSchema" => "refused with the rest of it";
        enable_monitoring "enableMonitoring" => "refused with the rest of it";
    }
    MemoryPolicy at "linux.memoryPolicy" {
        mode "mode" => "of the container's own memory";
        nodes "nodes" => "within the container's cpuset";
        flags "flags" => "of the container's own memory";
    }
    Personality at "linux.personality" {
        domain "domain" => "the two domains of the specification";
        flags "flags" => "none is defined, and none is set";
    }
    TimeOffset at "linux.timeOffsets{}" {
        secs "secs" => "a clock of the container's own time namespace";
        nanosecs "nanosecs" => "a clock of the container's own time namespace";
    }
    SeccompProfile at "linux.seccomp" {
        default_action "defaultAction" => [DefaultSeccomp];
        default_errno_ret "defaultErrnoRet" => "beside the default filter, whose answer wins where it is stricter";
        architectures "architectures" => "beside the default filter, whose answer wins where it is stricter";
        flags "flags" => "how the kernel runs the filter, not what it lets pass";
        listener_path "listenerPath" => [SeccompListener];
        listener_metadata "listenerMetadata" => "handed to the engine's agent";
        syscalls "syscalls" => "beside the default filter, whose answer wins where it is stricter";
    }
    SeccompSyscall at "linux.seccomp.syscalls[]" {
        names "names" => "beside the default filter";
        action "action" => "beside the default filter";
        errno_ret "errnoRet" => "beside the default filter";
        args "args" => "beside the default filter";
    }
    SeccompArg at "linux.seccomp.syscalls[].args[]" {
        index "index" => "beside the default filter";
        value "value" => "beside the default filter";
        value_two "valueTwo" => "beside the default filter";
        op "op" => "beside the default filter";
    }
    ConsoleSize at "process.consoleSize" {
        height "height" => "rows of the container's own terminal";
        width "width" => "columns of the container's own terminal";
    }
    User at "process.user" {
        uid "uid" => [RootUser];
        gid "gid" => [RootUser];
        umask "umask" => "the process may change it";
        additional_gids "additionalGids" => [RootUser];
    }
    Capabilities at "process.capabilities" {
        bounding "bounding" => [Capabilities];
        effective "effective" => [Capabilities];
        inheritable "inheritable" => [Capabilities];
        permitted "permitted" => [Capabilities];
        ambient "ambient" => [Capabilities];
    }
    Rlimit at "process.rlimits[]" {
        kind "type" => [CoreLimit, DefaultRlimits, Scheduler];
        hard "hard" => [CoreLimit, DefaultRlimits, Scheduler];
        soft "soft" => [CoreLimit, DefaultRlimits, Scheduler];
    }
    Scheduler at "process.scheduler" {
        policy "policy" => [Scheduler];
        nice "nice" => [Scheduler];
        priority "priority" => [Scheduler];
        flags "flags" => [Scheduler];
        runtime "runtime" => [Scheduler];
        deadline "deadline" => [Scheduler];
        period "period" => [Scheduler];
    }
    IoPriority at "process.ioPriority" {
        class "class" => [Scheduler];
        priority "priority" => "a level within the class";
    }
    ExecCpuAffinity at "process.execCPUAffinity" {
        initial "initial" => "within the container's cpuset";
        after "final" => "within the container's cpuset";
    }
    DeviceRule at "linux.resources.devices[]" {
        allow "allow" => [DeviceNodes, DeviceCgroup];
        kind "type" => [DeviceNodes, DeviceCgroup];
        major "major" => [DeviceNodes, DeviceCgroup];
        minor "minor" => [DeviceNodes, DeviceCgroup];
        access "access" => [DeviceCgroup];
    }
    Memory at "linux.resources.memory" {
        limit "limit" => [MemoryLimit];
        reservation "reservation" => "within the parent's limit";
        swap "swap" => "within the parent's limit";
        kernel "kernel" => "cgroup v1 only: without effect";
        kernel_tcp "kernelTCP" => "cgroup v1 only: without effect";
        swappiness "swappiness" => "cgroup v1 only: without effect";
        disable_oom_killer "disableOOMKiller" => "cgroup v1 only: without effect";
        use_hierarchy "useHierarchy" => "cgroup v1 only: without effect";
        check_before_update "checkBeforeUpdate" => "refuses a limit below what is used";
    }
    Cpu at "linux.resources.cpu" {
        shares "shares" => "a share within the parent's";
        quota "quota" => "within the parent's";
        burst "burst" => "within the quota";
        period "period" => "within the parent's";
        realtime_runtime "realtimeRuntime" => "cgroup v1 only: without effect";
        realtime_period "realtimePeriod" => "cgroup v1 only: without effect";
        cpus "cpus" => "within the parent's";
        mems "mems" => "within the parent's";
        idle "idle" => "less than others, never more";
    }
    Pids at "linux.resources.pids" {
        limit "limit" => [PidsLimit];
    }
    BlockIo at "linux.resources.blockIO" {
        weight "weight" => "a share within the parent's";
        leaf_weight "leafWeight" => "cgroup v1 only: without effect";
        weight_device "weightDevice" => "a share within the parent's";
        throttle_read_bps_device "throttleReadBpsDevice" => "a limit";
        throttle_write_bps_device "throttleWriteBpsDevice" => "a limit";
        throttle_read_iops_device "throttleReadIOPSDevice" => "a limit";
        throttle_write_iops_device "throttleWriteIOPSDevice" => "a limit";
    }
    WeightDevice at "linux.resources.blockIO.weightDevice[]" {
        major "major" => "which disk";
        minor "minor" => "which disk";
        weight "weight" => "a share within the parent's";
        leaf_weight "leafWeight" => "cgroup v1 only: without effect";
    }
    ThrottleDevice at "linux.resources.blockIO.throttle*[]" {
        major "major" => "which disk";
        minor "minor" => "which disk";
        rate "rate" => "a limit";
    }
    HugepageLimit at "linux.resources.hugepageLimits[]" {
        page_size "pageSize" => "which pages";
        limit "limit" => "a limit";
    }
    Network at "linux.resources.network" {
        class_id "classID" => "cgroup v1 only: without effect";
        priorities "priorities" => "cgroup v1 only: without effect";
    }
    InterfacePriority at "linux.resources.network.priorities[]" {
        name "name" => "cgroup v1 only: without effect";
        priority "priority" => "cgroup v1 only: without effect";
    }
    Rdma at "linux.resources.rdma{}" {
        hca_handles "hcaHandles" => "a limit";
        hca_objects "hcaObjects" => "a limit";
    }
}

/// The whole table, structure by structure.
pub(super) fn owners() -> impl Iterator<Item = &'static Owner> {
    LEAVES.iter().copied().flatten()
}
