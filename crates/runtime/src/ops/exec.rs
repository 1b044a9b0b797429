//! `exec`: one more process in a running container, confined at least as much as the container's own.

use crate::audit_log::Trail;
use crate::decide::caller::Caller;
use crate::decide::facts::limits_of_joining;
use crate::files::read_given;
use crate::launch::foreground::Foreground;
use crate::launch::supervise::{self, await_exec, SeccompAgent, Supervision};
use crate::launch::verify::Expectation;
use crate::plan;
use crate::plan::process::ProcessContext;
use crate::request::{ExecRequest, Global};
use crate::resolve::ids::IdMaps;
use crate::state::Container;
use crate::state::{Record, Status};
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_cgroup::{Cgroup, Hierarchy};
use casemate_kernel::InnerId;
use casemate_policy::spec::{Capabilities, Capability, Process};
use casemate_policy::{harden_process, HardenedProcess};
use casemate_sandbox::launch::{launch_exec, launch_exec_unprivileged, Spawned};
use casemate_sandbox::plan::{Early, ExecPlan, HookState, SeccompFilter};
use casemate_sandbox::proto::{self, tell_child, FromParent};
use casemate_sandbox::Failure;
use casemate_sandbox::Mover;
use casemate_sys::ns::{self, flag};
use casemate_sys::{errno_text, process};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::cell::OnceCell;
use std::path::Path;
use std::time::Duration;
use tracing::{debug, debug_span};

/// Run a process in a container; answers its exit status, or 0 when detached.
///
/// # Errors
/// The container is not running; everything that can be wrong with the process.
pub fn exec(global: &Global, request: &ExecRequest) -> Result<i32> {
    let _command = debug_span!("exec", container = %request.id).entered();
    let mut trail = Trail::begin(global, "exec", &request.id)?;
    let joined = join(global, request, &mut trail);
    trail.note(joined)
}

fn join(global: &Global, request: &ExecRequest, trail: &mut Trail) -> Result<i32> {
    crate::launch::pid_file::check(request.pid_file.as_deref())?;
    let container = Container::load(global, &request.id)?;
    trail.of_record(&container.record)?;
    let (init, limit) = match container.living()? {
        Some((init, Status::Created | Status::Running)) => (init, proto::limit([])),
        // It goes on when the container does.
        Some((init, Status::Paused)) if request.ignore_paused => (init, None),
        Some((_, Status::Paused)) => {
            bail!("cannot exec in a paused container (use --ignore-paused to override)")
        }
        _ => bail!("cannot exec in a stopped container"),
    };
    let asked = requested(request, &container)?;
    let limits = limits_of_joining(&asked, &container.proc)?;
    let (hardened, _) =
        debug_span!("decide").in_scope(|| harden_process(asked, &container.record.spec, limits))?;
    // The program and not its arguments: these may hold secrets.
    trail.set("casemate.exec.name", || hardened.args.first().cloned().into());
    trail.set("casemate.exec.uid", || hardened.user.uid.into());
    trail.set("casemate.exec.terminal", || hardened.terminal.into());
    let console = supervise::console_sink(
        hardened.terminal,
        request.detach,
        request.console_socket.as_ref(),
        &container.record.spec,
    )?;
    let foreground = if request.detach { None } else { Some(Foreground::take_over(true)?) };
    let caller = Caller::probe(&container.proc)?;
    let (plan, expectation) =
        debug_span!("plan").in_scope(|| plan(&container, &caller, &hardened, request, &init))?;
    let placements = Placements::of(&container, request)?;
    trail.allow()?;
    let child = debug_span!("launch")
        .in_scope(|| spawn(plan, &placements, &container, &caller, &init))
        .map_err(|e| placements.explain(e))?;
    debug!("container {}: process {} joins", request.id, child.pid);
    let outcome = debug_span!("join")
        .in_scope(|| supervise_exec(&container, (console, limit), &expectation, &child, request));
    let master = match outcome {
        Ok(master) => master,
        Err(error) => {
            child.dismiss();
            // The first error is the one to tell.
            process::wait(child.pid, true).ok();
            return Err(error);
        }
    };
    let Some(foreground) = foreground else { return Ok(0) };
    let exit =
        debug_span!("wait").in_scope(|| foreground.wait(child.pid, &child.pidfd, master, None));
    Ok(exit?.status())
}

fn supervise_exec(
    container: &Container,
    (console, limit): (supervise::ConsoleSink, Option<Duration>),
    expectation: &Expectation,
    child: &Spawned,
    request: &ExecRequest,
) -> Result<Option<OwnedFd>> {
    let record = &container.record;
    let listener = record.seccomp_listener.as_ref().map(|(path, metadata)| SeccompAgent {
        path,
        metadata,
        status: "running",
        init_pid: record.init.map(|init| init.pid),
        record,
    });
    let hook_state = HookState::default();
    let supervision =
        Supervision { console, hooks: Vec::new(), hook_state: &hook_state, listener, limit };
    let master = supervision.serve(child)?;
    debug_span!("verify").in_scope(|| expectation.verify(&container.proc, child.pid))?;
    if let Some(path) = &request.pidfd_socket {
        supervise::deliver_pidfd(path, "setns", &child.pidfd)?;
    }
    tell_child(&child.channel, FromParent::Start)?;
    await_exec(&child.channel, limit)?;
    // Last: its absence is how conmon knows of a failure.
    if let Some(path) = &request.pid_file {
        crate::launch::pid_file::write(path, child.pid)?;
    }
    Ok(master)
}

/// What the caller asks for: a whole process object, or the container's own with changes. Of a process object, what it
/// leaves out comes from the container.
fn requested(request: &ExecRequest, container: &Container) -> Result<Process> {
    let own = container
        .record
        .spec
        .process
        .clone()
        .ok_or_else(|| anyhow!("the container has no process"))?;
    if let Some(path) = &request.process {
        let mut process = Process::parse(&read_given(path)?).context("--process")?;
        process.capabilities = process.capabilities.or(own.capabilities);
        process.apparmor_profile = process.apparmor_profile.or(own.apparmor_profile);
        process.selinux_label = process.selinux_label.or(own.selinux_label);
        process.io_priority = process.io_priority.or(own.io_priority);
        process.scheduler = process.scheduler.or(own.scheduler);
        process.no_new_privileges |= own.no_new_privileges;
        if process.rlimits.is_empty() {
            process.rlimits = own.rlimits;
        }
        return Ok(process);
    }
    changed(own, request)
}

fn changed(mut process: Process, request: &ExecRequest) -> Result<Process> {
    process.args.clone_from(&request.args);
    process.terminal = request.tty;
    process.console_size = None;
    if let Some(cwd) = &request.cwd {
        process.cwd.clone_from(cwd);
    }
    process.env.extend(request.env.iter().cloned());
    if let Some((uid, gid)) = request.user {
        process.user.uid = uid;
        process.user.gid = gid.unwrap_or(process.user.gid);
    }
    process.user.additional_gids.extend(&request.additional_gids);
    if request.process_label.is_some() {
        process.selinux_label.clone_from(&request.process_label);
    }
    if request.apparmor.is_some() {
        process.apparmor_profile.clone_from(&request.apparmor);
    }
    process.no_new_privileges |= request.no_new_privs;
    if !request.caps.is_empty() {
        add_capabilities(&mut process, &request.caps);
    }
    process.check()?;
    Ok(process)
}

/// Bounding, effective and permitted; never inheritable (CVE-2022-29162), and ambient only beside inheritable.
fn add_capabilities(process: &mut Process, names: &[String]) {
    let capabilities = process.capabilities.get_or_insert_with(Capabilities::default);
    for name in names {
        let Some(capability) = Capability::from_name(name) else {
            // As in a configuration: it may be of a later kernel, and takes nothing away that it does not give.
            crate::warnings::add(format!("--cap {name}: unknown capability, ignored"));
            continue;
        };
        capabilities.bounding.mask |= capability.mask();
        capabilities.effective.mask |= capability.mask();
        capabilities.permitted.mask |= capability.mask();
        if capabilities.inheritable.contains(capability) {
            capabilities.ambient.mask |= capability.mask();
        }
    }
}

fn plan(
    container: &Container,
    caller: &Caller,
    process: &HardenedProcess,
    request: &ExecRequest,
    init: &OwnedFd,
) -> Result<(ExecPlan, Expectation)> {
    let record = &container.record;
    let maps = IdMaps { uid: record.uid_mappings.clone(), gid: record.gid_mappings.clone() };
    // An unprivileged caller sees the streams from outside and owns them; only a privileged one may give them away.
    let stdio_ids = if caller.privileged { maps.clone() } else { IdMaps::default() };
    let (count, terminal) = (request.preserve_fds, process.terminal);
    crate::plan::handed_over::check(&container.proc, count, terminal, &record.spec)?;
    let context = ProcessContext {
        stdio_ids: &stdio_ids,
        groups_may_fail: record.rootless || !record.gid_mappings.is_empty(),
        keyring: record.keyring.clone(),
        seccomp: filters(container, process)?,
        landlock: plan::process::landlock(&record.spec),
        keep_fds: request.preserve_fds,
        extra_env: Vec::new(),
        keep_groups: record.spec.keeps_groups(),
    };
    let linux = &record.spec.linux;
    let early = Early {
        affinity: affinity(process)?,
        rlimits_may_shrink: true,
        ..plan::process::early(process, linux, &context)?
    };
    let terminal = plan::process::terminal(process);
    let plan = plan::process::plan(process, linux, context)?;
    let unmapped = |what: &str, id: u32| {
        anyhow!("process.user.{what} {id}: not mapped into the user namespace")
    };
    let ids = (
        maps.host_uid(InnerId(plan.uid)).ok_or_else(|| unmapped("uid", plan.uid))?,
        maps.host_gid(InnerId(plan.gid)).ok_or_else(|| unmapped("gid", plan.gid))?,
    );
    let mut expectation = Expectation::of_process(&plan, &early, &maps, ids);
    // Whether it was to have a user namespace was decided when it was made.
    let as_made = maps.uid.is_empty().then(|| "the container was made without".to_owned());
    expectation.ask_floor(&record.spec, caller, as_made);
    if let Some(init) = record.init {
        expectation.follow(init.pid, record.namespaces);
    }
    let clone =
        |fd: &OwnedFd| fd.as_fd().try_clone_to_owned().map_err(|e| crate::files::io_error_text(&e));
    let exec = ExecPlan {
        host_proc: clone(&container.proc)?,
        init: clone(init)?,
        join: record.namespaces,
        early,
        terminal,
        process: plan,
    };
    Ok((exec, expectation))
}

/// execCPUAffinity, or all CPUs: the caller's own pinning is not the container's business. What the cpuset does not allow
/// the kernel leaves out.
fn affinity(process: &Process) -> Result<Option<Vec<u64>>> {
    let asked =
        process.exec_cpu_affinity.after.as_ref().or(process.exec_cpu_affinity.initial.as_ref());
    match asked {
        Some(list) => Ok(Some(plan::process::mask(list).context("process.execCPUAffinity")?)),
        None => Ok(Some(vec![u64::MAX; 16])),
    }
}

/// The container's filters as they were compiled at create; the default one is for the capabilities of this process.
fn filters(container: &Container, process: &HardenedProcess) -> Result<Vec<SeccompFilter>> {
    let record = &container.record;
    if record.seccomp.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = container.state.read("seccomp.bpf")?;
    let mut rest = bytes.as_slice();
    let mut filters = Vec::new();
    for one in &record.seccomp {
        let (program, behind) = rest
            .split_at_checked(one.bytes)
            .ok_or_else(|| anyhow!("state of {}: seccomp.bpf is too short", record.id))?;
        rest = behind;
        let filter = plan::seccomp::stored(program, one.flags);
        filters.push(filter.with_context(|| format!("state of {}", record.id))?);
    }
    let capabilities = process.reachable_capabilities();
    if capabilities != record.spec.reachable_capabilities() {
        // They come first, and there are as many of them for all capabilities.
        let own = plan::seccomp::default_filters(&record.spec, capabilities)?;
        filters.iter_mut().zip(own).for_each(|(stored, own)| *stored = own);
    }
    Ok(filters)
}

/// Where the process may be born: the container's cgroup, or, when that takes no processes (systemd in the container has
/// made it an inner node) or is gone, the one that init is in now. `--cgroup` has no second choice.
struct Placements<'a> {
    first: Option<Cgroup>,
    second: OnceCell<Result<Option<Cgroup>>>,
    record: &'a Record,
    asked: bool,
}

impl<'a> Placements<'a> {
    fn of(container: &'a Container, request: &ExecRequest) -> Result<Self> {
        let record = &container.record;
        let (second, mut asked) = (OnceCell::new(), false);
        let first = match (&record.cgroup, request.cgroup.first()) {
            (None, _) => None,
            (Some(own), Some(path)) => {
                asked = true;
                Some(below(&own.path, path)?)
            }
            (Some(_), None) => container.cgroup()?,
        };
        let placements = Self { first, second, record, asked };
        if placements.first.is_none() {
            placements.look_again()?;
        }
        Ok(placements)
    }

    /// The second choice, which a privileged caller hardly ever needs: it is looked for only when the first takes no process.
    fn second(&self) -> Option<&Cgroup> {
        // Why there is none, `explain` tells, if the launch fails for it.
        self.second.get_or_init(|| self.where_init_is()).as_ref().ok()?.as_ref()
    }

    /// What a launch failed of, with what is wrong with the second choice.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        if let (true, Some(failure)) = (self.asked, error.downcast_ref::<Failure>()) {
            let inner = failure.errno == Errno::BUSY.raw_os_error();
            if let (true, Some(cgroup)) = (inner, &self.first) {
                let message = cannot_add(cgroup.path(), Errno::BUSY);
                return Failure { message, ..failure.clone() }.into();
            }
        }
        match self.second.get() {
            Some(Err(second)) => {
                error.context(format!("the cgroup that init is in cannot be used ({second:#})"))
            }
            _ => error,
        }
    }

    fn look_again(&self) -> Result<()> {
        let Some(own) = &self.record.cgroup else { return Ok(()) };
        let found = self.where_init_is()?;
        if found.is_none() {
            bail!("cgroup {}: is gone", own.path.display());
        }
        self.second.get_or_init(|| Ok(found));
        Ok(())
    }

    fn where_init_is(&self) -> Result<Option<Cgroup>> {
        let (Some(own), Some(init), false) = (&self.record.cgroup, self.record.init, self.asked)
        else {
            return Ok(None);
        };
        let hierarchy = Hierarchy::discover()?;
        let now = hierarchy.locate(&hierarchy.path_of(init.pid)?)?;
        if now == own.path {
            return Ok(None);
        }
        Cgroup::open(&now).context("cgroup of the container's init").map(Some)
    }

    fn each(&self) -> impl Iterator<Item = &Cgroup> {
        self.first.iter().chain(std::iter::once_with(|| self.second()).flatten())
    }
}

/// What keeps a process out of the cgroup that `--cgroup` names, in runc's words.
fn cannot_add(cgroup: &Path, errno: Errno) -> String {
    let file = cgroup.join("cgroup.procs");
    format!(
        "--cgroup: adding pid of the process to cgroups {}: {}",
        file.display(),
        errno_text(errno)
    )
}

/// `--cgroup [CONTROLLERS:]PATH`, below the container's own.
fn below(own: &Path, asked: &str) -> Result<Cgroup> {
    // runc's words in the middle.
    let about =
        || format!("--cgroup: {asked} is not a sub cgroup path, below the container's cgroup");
    let path = asked.rsplit(':').next().unwrap_or(asked).trim_start_matches('/');
    let own = Cgroup::open(own).with_context(about)?;
    match own.open_below(Path::new(path)) {
        // It is a path below, there is just nothing.
        Err(casemate_cgroup::Error::Io { errno: Errno::NOENT, path, .. }) => {
            bail!(cannot_add(&path, Errno::NOENT))
        }
        other => other.with_context(about),
    }
}

fn spawn(
    plan: ExecPlan,
    placements: &Placements<'_>,
    container: &Container,
    caller: &Caller,
    init: &OwnedFd,
) -> Result<Spawned> {
    // Root of a user namespace (rootless podman) may enter the container's pid namespace but not come back to its own,
    // which belongs to the host.
    if !caller.privileged || !caller.initial_user_namespace {
        let handles: Vec<&Cgroup> = placements.each().collect();
        let cgroups: Vec<_> = handles.iter().map(AsFd::as_fd).collect();
        let mover = crate::launch::cgroups::mover(container.record.cgroup.as_ref(), &handles)?;
        let mover = mover.as_ref().map(|mover| mover as Mover<'_>);
        return Ok(launch_exec_unprivileged(plan, &cgroups, mover)?);
    }
    let cgroups = placements.each().map(AsFd::as_fd);
    if container.record.namespaces & flag::PID == 0 {
        return Ok(launch_exec(plan, cgroups)?);
    }
    // The child is seen in the container as soon as it exists (CVE-2016-9962).
    process::set_dumpable(false)?;
    let own = process::pidfd_open(rustix::process::getpid().as_raw_nonzero().get())?;
    ns::setns(init, flag::PID).context("join the container's pid namespace")?;
    let child = launch_exec(plan, cgroups);
    ns::setns(&own, flag::PID).context("leave the container's pid namespace")?;
    Ok(child?)
}
