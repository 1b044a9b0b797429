//! Making a container, up to the point where its process is ready and verified: what `create` and `run` share.

use crate::audit_log::Trail;
use crate::decide::bundle::Bundle;
use crate::decide::{decide, Decided};
use crate::launch::cgroups;
use crate::launch::supervise::{self, ConsoleSink, SeccompAgent, Supervision};
use crate::launch::undo::Undo;
use crate::launch::verify::Posture;
use crate::launch::{netdev, notify, pid_file};
use crate::plan::container::{lower_container, Lowered};
use crate::plan::namespaces::{self, Held};
use crate::procfs;
use crate::request::{CreateRequest, Global};
use crate::resolve::userns::{self, Unmappable};
use crate::resolve::{ids, selinux};
use crate::state::{CgroupRecord, InitRecord, Record, SeccompRecord, StateDir, StateRoot};
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_cgroup::Cgroup;
use casemate_kernel::{HostId, InnerId};
use casemate_policy::SourceFact;
use casemate_sandbox::launch::{launch, Birth, Parked, Spawned};
use casemate_sandbox::plan::{ContainerPlan, Gate, SeccompFilter, UserNamespace};
use casemate_sandbox::proto::{tell_child, FromParent};
use casemate_sys::ns::{self, flag};
use casemate_sys::{process, socket, Context as _};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use tracing::{debug, debug_span};

/// Who holds the container until it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// `create`: a gate in the state directory.
    Created,
    /// `run`: we stay; `true`: detached, so there is nobody to copy a terminal's bytes.
    Run(bool),
}

/// A container whose process is ready and verified; dropping it without a word leaves it to `delete --force`, so every
/// path ends in `finish` or `fail`.
pub(crate) struct Made {
    pub(crate) state: StateDir,
    pub(crate) record: Box<Record>,
    pub(crate) proc: OwnedFd,
    pub(crate) child: Spawned,
    pub(crate) master: Option<OwnedFd>,
    pub(crate) undo: Undo,
    posture: Posture,
}

impl Made {
    /// Store what was read back: from then on the container counts as complete. Before the program can run.
    pub(crate) fn save_posture(&self) -> Result<()> {
        self.state.save_posture(&self.posture)
    }

    /// What callers wait for: last, and only on success.
    pub(crate) fn tell_caller(&self, request: &CreateRequest) -> Result<()> {
        if let Some(path) = &request.pidfd_socket {
            supervise::deliver_pidfd(path, "standard", &self.child.pidfd)?;
        }
        match &request.pid_file {
            Some(path) => pid_file::write(path, self.child.pid),
            None => Ok(()),
        }
    }
}

/// Make the container.
pub(crate) fn make(
    global: &Global,
    request: &CreateRequest,
    mode: HeldBy,
    trail: &mut Trail,
) -> Result<Made> {
    pid_file::check(request.pid_file.as_deref())?;
    trail.set("casemate.bundle", || request.bundle.to_string_lossy().into());
    let bundle = debug_span!("read")
        .in_scope(|| Bundle::open(&request.bundle, request.config.as_deref()))?;
    trail.of_bundle(&bundle);
    let mut decided = debug_span!("decide").in_scope(|| decide(global, bundle, &request.id))?;
    if trail.is_on() {
        decided.look_at_hooks();
    }
    trail.decided(&decided)?;
    let (changes, dir) = (decided.decisions.len(), decided.bundle.dir.display());
    debug!("container {}: bundle {dir}, decisions made: {changes}", request.id);
    decided.cgroup.check(&decided.spec)?;
    let detached = mode != HeldBy::Run(false);
    let terminal = decided.spec.process.as_ref().is_some_and(|p| p.terminal);
    let socket = request.console_socket.as_ref();
    let console = supervise::console_sink(terminal, detached, socket, &decided.spec)?;
    if decided.needs_apparmor_profile() {
        crate::resolve::apparmor::load()?;
    }
    let mut undo = Undo::default();
    let begun = debug_span!("plan").in_scope(|| begin(global, request, &mut decided, &mut undo));
    let (mut lowering, state) = match begun {
        Ok(begun) => begun,
        Err(error) => return Err(undo.roll_back(error)),
    };
    decided.decisions.extend(decided.spec.keyring_decision(request.no_new_keyring));
    crate::resolve::userns::warn_of_later_mounts(&decided.decisions);
    // Once more: the host may have had a say in it.
    trail.describe(&decided);
    let outcome = build(&state, decided, &mut lowering, console, (mode, request), &mut undo);
    match outcome {
        Ok(Built { record, proc, child, master, posture }) => {
            Ok(Made { state, record, proc, child, master, undo, posture })
        }
        Err(error) => {
            lowering.room = None;
            let error = undo.roll_back(error);
            // The state directory goes last, as it was made first.
            match state.remove() {
                Ok(()) => Err(error),
                Err(e) => Err(error.context(format!("could not remove its state ({e:#})"))),
            }
        }
    }
}

/// Step 6 and the state directory. A range of ids is taken before the plan is made, because the plan needs it, and given back
/// when the plan turns out not to be possible with it.
fn begin(
    global: &Global,
    request: &CreateRequest,
    decided: &mut Decided,
    undo: &mut Undo,
) -> Result<(Box<Lowered>, StateDir)> {
    let label = selinux::provide(decided, &request.id, global.root.join(&request.id))?;
    if let Some(lease) = label {
        undo.push("SELinux categories", move || {
            let lease = lease;
            selinux::release(&lease.name)
        });
    }
    let kept = userns::keep(decided, &request.id, global.root.join(&request.id))?;
    if let Some(kept) = kept {
        decided.own_ids = Some(kept.name.clone());
        undo.push("ids of the configuration", move || {
            let kept = kept;
            userns::release(&kept.name)
        });
    }
    let mut lease = userns::provide(decided, &request.id, global.root.join(&request.id))?;
    let room = crate::launch::room::Room::make()?;
    let mut lowered = plan(request, decided);
    if let (Err(error), true) = (&lowered, lease.is_some()) {
        if let Some(reason) = error.downcast_ref::<Unmappable>() {
            if let Some(lease) = lease.take() {
                userns::release(&lease.name)?;
            }
            decided.without_user_namespace(&reason.why, reason.old_kernel)?;
            lowered = plan(request, decided);
        }
    }
    if let Some(lease) = lease {
        decided.id_range = Some(lease.name.clone());
        undo.push("id range", move || {
            // The whole of it, until now: its lock has said that we are at work.
            let lease = lease;
            userns::release(&lease.name)
        });
    }
    let mut lowered = lowered?;
    if let Some(plan) = &mut lowered.plan {
        room.keep_from(&mut plan.early);
    }
    lowered.room = Some(room);
    debug!("container {}: planned, taking its state directory", request.id);
    let root = StateRoot::create(&global.root, global.root_in_xdg_runtime_dir)?;
    Ok((lowered, root.reserve(&request.id)?))
}

fn plan(request: &CreateRequest, decided: &Decided) -> Result<Box<Lowered>> {
    let hosts = (!decided.spec.is_verbatim()).then_some(&decided.facts.host_namespaces[..]);
    let namespaces = namespaces::prepare(&decided.spec, &decided.caller, &decided.proc, hosts)?;
    lower_container(request, decided, namespaces)
}

/// What came out of it.
struct Built {
    record: Box<Record>,
    proc: OwnedFd,
    child: Spawned,
    master: Option<OwnedFd>,
    posture: Posture,
}

/// Steps 7 to 11: everything that has to be taken back on failure.
fn build(
    state: &StateDir,
    mut decided: Box<Decided>,
    lowered: &mut Lowered,
    console: ConsoleSink,
    (mode, request): (HeldBy, &CreateRequest),
    undo: &mut Undo,
) -> Result<Built> {
    let mut record = first_record(&mut decided, lowered, request)?;
    state.save_first(&record)?;
    let host = (&decided.proc, &decided.facts.mountinfo[..]);
    crate::state::bundles::register(state.root_path(), &record, &decided.caller, host)?;
    let poststop = (lowered.poststop.clone(), lowered.hook_state.clone());
    undo.push("poststop hooks", move || {
        super::delete::run_poststop(&poststop.0, &poststop.1);
        Ok(())
    });
    let (cgroup, placeholder) =
        debug_span!("cgroup").in_scope(|| make_cgroup(state, &decided, &mut record, undo))?;
    if let (Some(cgroup), Some(uid)) = (&cgroup, cgroups::delegated_to(&decided.spec)) {
        hand_over(cgroup, lowered.maps.host_uid(InnerId(uid)), record.rootless)?;
    }
    if let (true, Some(label)) = (lowered.relabel, &decided.spec.linux.mount_label) {
        selinux::relabel(&lowered.rootfs, label)?;
    }
    match &cgroup {
        Some(cgroup) => debug!("cgroup {}: made", cgroup.path().display()),
        None => debug!("no cgroup"),
    }
    let (plan, held) = complete_plan(state, &decided, lowered, (mode, &record))?;
    let joined = joined_network(&plan)?;
    let target = (cgroup.as_ref(), record.cgroup.as_ref());
    let child = debug_span!("launch")
        .in_scope(|| spawn(plan, target, lowered.pid_namespace.as_ref(), &decided.proc))?;
    debug!("container init: process {}, building its tree", child.pid);
    drop(placeholder);
    lowered.room = None;
    provide(&decided, lowered, &child, joined, undo)?;
    // It has ended by now, or is about to.
    drop(held);
    // While the child builds its tree: everything that does not need the result.
    write_down(state, &decided, lowered, (&mut record, child.pid))?;
    let devices = match &cgroup {
        Some(cgroup) => decided.cgroup.load_devices(cgroup)?,
        None => None,
    };
    let master = debug_span!("build")
        .in_scope(|| serve(lowered, console, &record, &child))
        .map_err(|e| oom_or(e, cgroup.as_ref()))?;
    debug!("container init: ready, being verified");
    let mut posture =
        debug_span!("verify").in_scope(|| lowered.expectation.verify(&decided.proc, child.pid))?;
    posture.hook_digests = decided.hook_digests();
    if let (Some(cgroup), Some(devices)) = (&cgroup, &devices) {
        decided.cgroup.attach_devices(cgroup, devices)?;
    }
    Ok(Built { record, proc: decided.proc, child, master, posture })
}

/// The cgroup, and what holds its place until init is inside; recorded as it turned out.
fn make_cgroup(
    state: &StateDir,
    decided: &Decided,
    record: &mut Record,
    undo: &mut Undo,
) -> Result<(Option<Cgroup>, Option<Parked>)> {
    let made = decided.cgroup.make()?;
    let planned = record.cgroup.clone();
    match (&made, &mut record.cgroup) {
        (Some(made), Some(kept)) => {
            *kept = made.record.clone();
            let kept = made.record.clone();
            undo.push("cgroup", move || cgroups::remove(&kept, false));
        }
        (_, kept) => *kept = None,
    }
    if record.cgroup != planned {
        // Only systemd knows beforehand where its scopes go, and only the kernel whether we may make one at all and whether
        // it was there.
        state.save(record)?;
    }
    Ok(made.map_or((None, None), |made| (Some(made.cgroup), made.placeholder)))
}

/// What the plan could not have before there was a state directory: the gate, the socket for readiness, and the namespaces
/// that a process holds for it until it has joined them.
fn complete_plan(
    state: &StateDir,
    decided: &Decided,
    lowered: &mut Lowered,
    (mode, record): (HeldBy, &Record),
) -> Result<(ContainerPlan, Option<Held>)> {
    let mut plan = lowered.plan.take().ok_or_else(|| anyhow!("the plan was used already"))?;
    if mode == HeldBy::Created {
        plan.gate = Gate::Listener(state.make_gate()?);
    }
    if record.notify_socket.is_some() {
        notify::prepare(state, &mut plan)?;
    }
    let held = lowered.held.take();
    if let Some(held) = &held {
        held.join(&decided.proc, &mut plan.namespaces)?;
    }
    let state_root = state.path().parent().unwrap_or(Path::new("/")).to_owned();
    let pid_namespace = lowered.pid_namespace.as_ref();
    lowered.expectation.join(&plan.namespaces, pid_namespace, &state_root)?;
    Ok((plan, held))
}

/// What the new process waits for, and from now on its end.
fn provide(
    decided: &Decided,
    lowered: &Lowered,
    child: &Spawned,
    joined: Option<OwnedFd>,
    undo: &mut Undo,
) -> Result<()> {
    let pid = child.pid;
    let channel = child.channel.try_clone().map_err(|e| crate::files::io_error_text(&e))?;
    undo.push("container init", move || kill_init(pid, &channel));
    if let Some(moved) = move_devices(decided, pid, joined)? {
        undo.push("network devices", move || moved.give_back());
    }
    finish_map(decided, lowered, child)
}

/// Who init is, and the files that the record refers to.
fn write_down(
    state: &StateDir,
    decided: &Decided,
    lowered: &Lowered,
    (record, pid): (&mut Record, i32),
) -> Result<()> {
    // We have not waited for it: its number is not anybody else's, even if it has ended.
    let stat =
        procfs::stat(&decided.proc, pid)?.ok_or_else(|| anyhow!("container init is gone"))?;
    let init = InitRecord { pid, start_time: stat.start_time };
    state.save_init(&init, record)?;
    record.init = Some(init);
    store_beside(state, decided, lowered)
}

/// Do what the new process asks for until it is ready; the terminal's other side, if it has one that stays here.
fn serve(
    lowered: &mut Lowered,
    console: ConsoleSink,
    record: &Record,
    child: &Spawned,
) -> Result<Option<OwnedFd>> {
    let supervision = Supervision {
        console,
        hooks: std::mem::take(&mut lowered.parent_hooks),
        hook_state: &lowered.hook_state,
        listener: agent(record),
        limit: crate::plan::hooks::limit(&record.spec.hooks.create_container),
    };
    supervision.serve(child)
}

fn first_record(
    decided: &mut Decided,
    lowered: &Lowered,
    request: &CreateRequest,
) -> Result<Box<Record>> {
    let spec = decided.spec.without_seccomp();
    let notifies = lowered.filters.iter().any(SeccompFilter::notifies);
    let notifying = decided.spec.linux.seccomp.as_ref().filter(|_| notifies);
    let listener = notifying.and_then(|filter| {
        let metadata = filter.listener_metadata.clone().unwrap_or_default();
        let path = match &decided.facts.listener {
            // What was judged, whatever a link leads to by now.
            Some(SourceFact::Found(file)) => &file.path,
            _ => filter.listener_path.as_ref()?,
        };
        Some((PathBuf::from(path), metadata))
    });
    if notifies && listener.is_none() {
        bail!("linux.seccomp.listenerPath: is needed by SCMP_ACT_NOTIFY");
    }
    Ok(Box::new(Record {
        format: crate::state::FORMAT.to_owned(),
        id: request.id.to_string(),
        bundle: decided.bundle.dir.clone(),
        config: decided.bundle.config_file.clone(),
        engine: decided.choice.engine,
        rootfs: lowered.rootfs.clone(),
        created: humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string(),
        owner: decided.caller.euid,
        rootless: !decided.caller.privileged || !decided.caller.initial_user_namespace,
        init: None,
        cgroup: decided.cgroup.record()?,
        limits: decided.cgroup.limits.clone(),
        spec,
        namespaces: lowered.kinds,
        shared_pid_namespace: lowered.shared_pid,
        uid_mappings: lowered.maps.uid.clone(),
        gid_mappings: lowered.maps.gid.clone(),
        id_range: decided.id_range.clone(),
        own_ids: decided.own_ids.clone(),
        categories: decided.categories.as_ref().map(|(_, file)| file.clone()),
        keyring: lowered.keyring.clone(),
        seccomp: lowered
            .filters
            .iter()
            .map(|f| SeccompRecord { bytes: f.program.len(), flags: f.flags })
            .collect(),
        seccomp_listener: listener,
        notify_socket: notify::host_socket(),
    }))
}

fn agent(record: &Record) -> Option<SeccompAgent<'_>> {
    record.seccomp_listener.as_ref().map(|(path, metadata)| SeccompAgent {
        path,
        metadata,
        status: "creating",
        init_pid: None,
        record,
    })
}

/// clone3; around it, for a joined pid namespace, our own "namespace of children" is switched there and back.
fn spawn(
    plan: ContainerPlan,
    (cgroup, recorded): (Option<&Cgroup>, Option<&CgroupRecord>),
    pid: Option<&OwnedFd>,
    proc: &OwnedFd,
) -> Result<Spawned> {
    let birth = Birth::Into(cgroup.map(AsFd::as_fd));
    let Some(pid) = pid else {
        let mover = cgroup.map_or(Ok(None), |cgroup| cgroups::mover(recorded, &[cgroup]))?;
        return Ok(launch(plan, mover.as_ref().map_or(birth, |mover| Birth::Moved(mover)))?);
    };
    let own =
        rustix::fs::openat(proc, "self/ns/pid", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| "openat(/proc, \"self/ns/pid\")")?;
    if !matches!(plan.namespaces.user, UserNamespace::EnterFirst) {
        // The child is seen in there as soon as it exists (CVE-2016-9962). Who has no privilege has to be dumpable until the
        // id maps are written, and joins no pid namespace.
        process::set_dumpable(false)?;
    }
    ns::setns(pid, flag::PID).context("linux.namespaces pid")?;
    let child = launch(plan, birth);
    match ns::setns(&own, flag::PID) {
        // The way back to a pid namespace of the host is closed to root of a user namespace. Only hooks are made after this,
        // and they have the same pids to work with.
        Err(e) if e.errno() == rustix::io::Errno::PERM => {}
        other => other.context("linux.namespaces pid: back")?,
    }
    Ok(child?)
}

/// Let the container manage what is below its cgroup.
fn hand_over(cgroup: &Cgroup, uid: Option<HostId>, rootless: bool) -> Result<()> {
    let uid = uid.ok_or_else(|| {
        anyhow!("process.user.uid: is not mapped, the cgroup cannot be handed over to it")
    })?;
    match cgroup.delegate(uid.0) {
        Err(e) if rootless && e.is_permission() => Ok(()),
        other => other.context("cgroup"),
    }
}

/// The network namespace that the container joins: also the one that a holder made for it.
fn joined_network(plan: &ContainerPlan) -> Result<Option<OwnedFd>> {
    let joined = plan.namespaces.join.iter().find(|(kind, _)| *kind == flag::NET);
    joined.map(|(_, fd)| fd.try_clone().map_err(|e| crate::files::io_error_text(&e))).transpose()
}

/// Move `linux.netDevices` into the container's network namespace.
fn move_devices(
    decided: &Decided,
    pid: i32,
    joined: Option<OwnedFd>,
) -> Result<Option<netdev::Moves>> {
    let devices = &decided.spec.linux.net_devices;
    if devices.is_empty() {
        return Ok(None);
    }
    let target = match joined {
        Some(fd) => fd,
        None => {
            let path = format!("{pid}/ns/net");
            rustix::fs::openat(
                &decided.proc,
                &path,
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .call(|| format!("openat(/proc, \"{path}\")"))?
        }
    };
    netdev::move_all(devices, &decided.proc, target).map(Some)
}

/// What the child waits for: without privilege its maps, which are written when it exists; network devices.
fn finish_map(decided: &Decided, lowered: &Lowered, child: &Spawned) -> Result<()> {
    let enter_first = !decided.caller.privileged;
    if enter_first {
        ids::write_maps(&decided.proc, child.pid, &lowered.maps, false)?;
    }
    if enter_first || !decided.spec.linux.net_devices.is_empty() {
        tell_child(&child.channel, FromParent::Mapped)?;
    }
    Ok(())
}

/// Without the channel it ends by itself, in case that the signal does not reach it.
fn kill_init(pid: i32, channel: &OwnedFd) -> Result<()> {
    let ended = socket::end(channel);
    match process::pidfd_open(pid) {
        Ok(pidfd) => process::pidfd_signal(&pidfd, 9).or(ended)?,
        // Gone already: reaped when its end was noticed.
        Err(e) if e.errno() == Errno::SRCH => return Ok(()),
        Err(e) => ended.map_err(|_| e)?,
    }
    // As above.
    process::wait(pid, true).ok();
    Ok(())
}

/// A process that the kernel killed for memory has no words of its own.
fn oom_or(error: anyhow::Error, cgroup: Option<&Cgroup>) -> anyhow::Error {
    match cgroup.map(Cgroup::oom_kill_count) {
        Some(Ok(kills)) if kills > 0 => {
            error.context("container init was OOM-killed (memory limit too low?)")
        }
        // Why it could not be counted is not why the container ended.
        _ => error,
    }
}

/// The files that the record refers to.
fn store_beside(state: &StateDir, decided: &Decided, lowered: &Lowered) -> Result<()> {
    if !lowered.filters.is_empty() {
        let programs: Vec<&[u8]> = lowered.filters.iter().map(|f| f.program.as_slice()).collect();
        state.write_new("seccomp.bpf", &programs)?;
    }
    if !decided.decisions.is_empty() {
        let bytes = serde_json::to_vec(&decided.decisions)?;
        state.write_new("decisions.json", &[&bytes])?;
    }
    Ok(())
}
