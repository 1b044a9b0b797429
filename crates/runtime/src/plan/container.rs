//! Step 6: the whole of a container's plan, put together from what the neighbours lower.

use super::hooks::{lower, Defaults, Guards};
use super::mount_context::MountContext;
use super::process::ProcessContext;
use crate::decide::Decided;
use crate::launch::verify::Expectation;
use crate::plan::namespaces::{self, Held, Prepared};
use crate::request::CreateRequest;
use crate::resolve::ids::IdMaps;
use crate::resolve::userns::idmap::Mapper;
use crate::unmappable::Unmappable;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_kernel::{HostId, InnerId};
use casemate_policy::spec::{NamespaceKind, Process};
use casemate_sandbox::plan::{
    ContainerPlan, Gate, Hook, HookState, RootPlan, SeccompFilter, UserNamespace,
};
use casemate_sys::Context as _;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::path::{Path, PathBuf};

/// The plan of a container.
pub(crate) struct Plan {
    /// For the container's side.
    pub(crate) container: ContainerPlan,
    /// Namespaces that a process makes while the plan is made, and holds until the container has joined them.
    pub(crate) held: Option<Held>,
    /// What has to be there in the end.
    pub(crate) expectation: Expectation,
    /// What the parent keeps.
    pub(crate) parent: ParentPlan,
}

/// What the parent does, and has to know, while the container is made.
pub(crate) struct ParentPlan {
    /// A pid namespace to be joined around clone3.
    pub(crate) pid_namespace: Option<OwnedFd>,
    pub(crate) maps: IdMaps,
    /// Kinds that exec has to join.
    pub(crate) kinds: u64,
    pub(crate) shared_pid: bool,
    pub(crate) filters: Vec<SeccompFilter>,
    pub(crate) keyring: Option<String>,
    /// prestart and createRuntime hooks.
    pub(crate) hooks: Vec<Hook>,
    pub(crate) poststop: Vec<Hook>,
    pub(crate) hook_state: HookState,
    pub(crate) rootfs: PathBuf,
    /// Its files get the container's SELinux label first.
    pub(crate) relabel: bool,
}

/// Step 6: from the hardened configuration to the plan. Namespaces of a user namespace are being made from here on.
///
/// # Errors
/// A configuration that cannot be put into practice on this host; [`Unmappable`] where it can without a user namespace.
pub(crate) fn plan(request: &CreateRequest, decided: &Decided) -> Result<Box<Plan>> {
    let hosts = (!decided.spec.is_verbatim()).then_some(&decided.facts.host_namespaces[..]);
    let namespaces = namespaces::prepare(&decided.spec, &decided.caller, &decided.proc, hosts)?;
    with_namespaces(request, decided, namespaces)
}

fn with_namespaces(
    request: &CreateRequest,
    decided: &Decided,
    namespaces: Prepared,
) -> Result<Box<Plan>> {
    let Decided { bundle, spec, proc, .. } = decided;
    // The specification lets a container be created without a process; `start` refuses it then.
    let nothing = Process { cwd: "/".to_owned(), ..Process::default() };
    let process = spec.process.as_ref().unwrap_or(&nothing);
    let mut root = root_plan(request, decided, &namespaces, process)?;
    let relabel = crate::resolve::selinux::fit_root(spec, &root.rootfs, root.overlay.as_mut())?;
    let rootfs = root.rootfs.clone();
    let filters = super::seccomp::filters(spec)?;
    let context = process_context(request, decided, &namespaces, &filters)?;
    let keyring = context.keyring.clone();
    let early = super::process::early(process, &spec.linux, &context)?;
    let payload = super::process::plan(process, &spec.linux, context)?;
    let hooks = lower_hooks(decided, process, &rootfs)?;
    let hook_state = super::hooks::state(
        &spec.oci_version,
        &request.id,
        &bundle.dir,
        &rootfs,
        &spec.annotations,
    )?;
    let container = ContainerPlan {
        host_proc: proc
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| crate::files::io_error_text(&e))?,
        early,
        hostname: spec.hostname.clone(),
        domainname: namespaces.domainname,
        loopback: namespaces.new_network,
        await_devices: !spec.linux.net_devices.is_empty(),
        sysctls: namespaces.sysctls,
        root,
        terminal: super::process::terminal(process),
        parent_hooks: !hooks.parent.is_empty(),
        create_container: hooks.create_container,
        start_container: hooks.start_container,
        hook_state: hook_state.clone(),
        process: payload,
        gate: Gate::Channel,
        namespaces: namespaces.plan,
    };
    Ok(Box::new(Plan {
        expectation: expectation(&container, decided, process, &namespaces.maps)?,
        container,
        held: namespaces.held,
        parent: ParentPlan {
            pid_namespace: namespaces.pid,
            maps: namespaces.maps,
            kinds: namespaces.kinds,
            shared_pid: namespaces.shared_pid,
            filters,
            keyring,
            hooks: hooks.parent,
            poststop: hooks.poststop,
            hook_state,
            rootfs,
            relabel,
        },
    }))
}

fn enters_first(namespaces: &Prepared) -> bool {
    matches!(namespaces.plan.user, UserNamespace::EnterFirst)
}

fn process_context<'a>(
    request: &CreateRequest,
    decided: &Decided,
    namespaces: &'a Prepared,
    filters: &[SeccompFilter],
) -> Result<ProcessContext<'a>> {
    // crun passes them on without LISTEN_PID; runc, and sd_listen_fds(3), do not.
    let listen_fds = crate::plan::listen_fds::count(decided.spec.is_verbatim());
    let keep_fds = request.preserve_fds + listen_fds;
    let terminal = decided.spec.process.as_ref().is_some_and(|process| process.terminal);
    crate::plan::handed_over::check(&decided.proc, keep_fds, terminal, &decided.spec)?;
    Ok(ProcessContext {
        stdio_ids: &namespaces.ids,
        // Who made the user namespace that we are in may have denied it for good.
        groups_may_fail: enters_first(namespaces)
            || !decided.caller.initial_user_namespace
            || !namespaces.maps.gid.is_empty(),
        keyring: match request.no_new_keyring && decided.spec.may_inherit_keyring() {
            true => None,
            false => Some(super::process::keyring_name(&decided.spec, &request.id)?),
        },
        seccomp: filters.to_vec(),
        landlock: super::process::landlock(&decided.spec),
        keep_fds,
        extra_env: crate::plan::listen_fds::environment(listen_fds),
        keep_groups: decided.spec.keeps_groups(),
    })
}

fn root_plan(
    request: &CreateRequest,
    decided: &Decided,
    namespaces: &Prepared,
    process: &Process,
) -> Result<RootPlan> {
    let Decided { bundle, spec, proc, .. } = decided;
    let rootfs = bundle.resolve(&spec.root.path);
    let identity = rootfs_identity(&rootfs)?;
    if decided.facts.root.as_ref().is_some_and(|judged| (judged.device, judged.inode) != identity) {
        bail!("root.path {}: changed while it was looked at", rootfs.display());
    }
    let mounts = MountContext {
        bundle,
        sources: &decided.facts.sources,
        layers: &decided.facts.layers,
        proc,
        ids: &namespaces.ids,
        user_namespace: match &namespaces.plan.user {
            UserNamespace::EnterLast(fd) => Some(fd),
            _ => None,
        },
        own_cgroup_namespace: namespaces.plan.new_cgroup || joins_cgroup_namespace(decided),
        cgroup_dir: decided.cgroup.record()?.map(|record| record.path),
        cgroup_mount: decided.cgroup.mount_point(),
        clones: decided.facts.euid == 0 && decided.facts.in_initial_userns,
        unprivileged: enters_first(namespaces),
        mapper: mapper(decided, namespaces),
        nested: !decided.caller.privileged || !decided.caller.initial_user_namespace,
        propagation: super::root_propagation(spec.linux.rootfs_propagation).before,
    };
    if mounts.mapper.is_some() && spec.keeps_groups() {
        let reason = "the groups of the caller are kept, which are nobody's among other ids";
        return Err(Unmappable::new(reason.to_owned()).into());
    }
    let owner = |host: Option<HostId>, what: &str| match host {
        Some(id) => Ok(id.0),
        None => Err(anyhow!("{what}: 0 is not mapped")),
    };
    // Without a slash at the end: a file would not be found by such a name, and left as it is.
    let plain = |path: &String| Path::new(path).components().collect();
    let paths = |list: &[String]| list.iter().map(plain).collect();
    let shown = match mounts.mapper {
        Some(mapper) => super::rootfs::shown(&mapper, &rootfs, !spec.root.readonly)?,
        None => super::rootfs::Shown::default(),
    };
    Ok(RootPlan {
        rootfs,
        identity,
        idmap: shown.idmap,
        overlay: shown.overlay,
        prepared: shown.prepared,
        propagation: super::root_propagation(spec.linux.rootfs_propagation),
        owner: (
            owner(namespaces.ids.host_uid(InnerId::ROOT), "linux.uidMappings")?,
            owner(namespaces.ids.host_gid(InnerId::ROOT), "linux.gidMappings")?,
        ),
        mounts: super::mounts::lower(spec, &mounts)?,
        devices: super::devices::nodes(spec, &namespaces.ids)?,
        symlinks: super::devices::links(spec),
        masked: super::masks::expand(&spec.linux.masked_paths, plain)
            .context("linux.maskedPaths")?,
        readonly_paths: paths(&spec.linux.readonly_paths),
        readonly: spec.root.readonly,
        cwd: PathBuf::from(&process.cwd),
        no_pivot: request.no_pivot,
        own_mounts: spec.namespace(NamespaceKind::Mount).is_some(),
    })
}

/// Of a cgroup namespace that is not the host's: what is mounted in it begins with the cgroup that it has as its root, and the host's
/// own mount would show all there are.
fn joins_cgroup_namespace(decided: &Decided) -> bool {
    let kind = NamespaceKind::Cgroup;
    let joins = decided.spec.namespace(kind).is_some_and(|namespace| namespace.path.is_some());
    joins && !decided.facts.host_namespaces.contains(&kind)
}

/// Only for a user namespace that the bundle knows nothing of: one that does has its files prepared for it.
fn mapper<'a>(decided: &'a Decided, namespaces: &'a Prepared) -> Option<Mapper<'a>> {
    decided.spec.extras().auto_userns?;
    let UserNamespace::EnterLast(userns) = &namespaces.plan.user else { return None };
    let before = super::root_propagation(decided.spec.linux.rootfs_propagation).before;
    Some(Mapper { proc: &decided.proc, userns: Some(userns), propagation: before })
}

/// /proc shows ids in our own namespace: an unprivileged caller sees itself where the container sees root.
fn expectation(
    plan: &ContainerPlan,
    decided: &Decided,
    process: &Process,
    maps: &IdMaps,
) -> Result<Expectation> {
    let (uid, gid) = (process.user.uid, process.user.gid);
    let uid = maps.host_uid(InnerId(uid)).unwrap_or(HostId(uid));
    let gid = maps.host_gid(InnerId(gid)).unwrap_or(HostId(gid));
    let mut expected = Expectation::of_container(plan, maps, (uid, gid));
    expected.demand(plan, &decided.spec);
    expected.ask_floor_of_plan(decided, &plan.root.rootfs)?;
    Ok(expected)
}

struct LoweredHooks {
    parent: Vec<Hook>,
    create_container: Vec<Hook>,
    start_container: Vec<Hook>,
    poststop: Vec<Hook>,
}

fn lower_hooks(decided: &Decided, process: &Process, rootfs: &Path) -> Result<LoweredHooks> {
    let (spec, hooks) = (&decided.spec, &decided.spec.hooks);
    let host = Defaults::of_host(spec, &decided.bundle.dir);
    let (tree, own) = (Defaults::of_tree(spec, rootfs), Defaults::of_process(spec, process));
    let guards = Guards::of(spec, &decided.caller);
    let inside = match decided.caller.privileged {
        true => guards.clone(),
        false => guards.clone().in_another_namespace(),
    };
    let mut parent = lower("prestart", &hooks.prestart, &host, &guards)?;
    parent.extend(lower("createRuntime", &hooks.create_runtime, &host, &guards)?);
    Ok(LoweredHooks {
        parent,
        create_container: lower("createContainer", &hooks.create_container, &tree, &inside)?,
        start_container: lower("startContainer", &hooks.start_container, &own, &Guards::none())?,
        poststop: lower("poststop", &hooks.poststop, &host, &guards)?,
    })
}

/// Device and inode of the rootfs, which must be a directory.
fn rootfs_identity(rootfs: &Path) -> Result<(u64, u64)> {
    let about = || format!("root.path {}", rootfs.display());
    let fd =
        rustix::fs::open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .call(|| "open()")
            .with_context(about)?;
    let st = rustix::fs::fstat(&fd).call(|| "fstat()").with_context(about)?;
    Ok((st.st_dev, st.st_ino))
}
