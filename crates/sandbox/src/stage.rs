//! The stages of a container's first process, each consuming the one before it.
//!
//! ```text
//! Stage0 -> Namespaced -> Rooted -> Dropped -> Confined -> (execve)
//! ```
//!
//! The order is the security of it:
//!
//! 1. `Stage0::enter_namespaces`: session, limits and everything else that the caller's privilege pays for, first,
//!    because each later step takes some of that privilege away. Then namespaces, but not the user namespace
//!    when the caller is privileged.
//! 2. `Namespaced::build_root`: sysctls before the first mount of the container's, so that no mount can redirect
//!    them (CVE-2025-52881). Then the whole tree, masks and read-only flags included, on detached
//!    mounts. Hooks run before masks hide anything from them. pivot_root. Then the user namespace together with
//!    a mount namespace of its own: from here on the kernel holds every flag locked against the container.
//! 3. `Rooted::drop_privilege`: label, working directory, groups, ids, capabilities, no_new_privs.
//! 4. `Dropped::confine`: descriptors that nobody needs any more are closed, the parent reads the state back and
//!    compares it with the plan.
//! 5. `Confined::start`: the gate, startContainer hooks, the seccomp filter, execve.

use crate::cwd::Cwd;
use crate::environment::add_home;
use crate::failure::{Step, FAILED};
use crate::filters::{self, FilterCount, FilterSlot};
use crate::plan::{ContainerPlan, Gate, Hook, HookState, ProcessPlan, UserNamespace};
use crate::proto::{self, FromParent};
use crate::ready::{self, ReadyProcess};
use crate::{confine, hook_view, hooks, identity, namespaces, rootfs, sysctl, Failure, StepResult};
use casemate_sys::{signals, socket};
use rustix::fd::{AsRawFd, OwnedFd};

/// Run all stages; returns only what went wrong.
pub(crate) fn run_container(plan: ContainerPlan, channel: &OwnedFd) -> Failure {
    let run = || -> StepResult<Failure> {
        Stage0 { plan, channel }
            .enter_namespaces()?
            .build_root()?
            .drop_privilege()?
            .confine()?
            .start()
    };
    run().unwrap_or_else(|failure| failure)
}

/// Right after clone3: a copy of the runtime, in new namespaces.
struct Stage0<'c> {
    plan: ContainerPlan,
    channel: &'c OwnedFd,
}

/// In all namespaces but, for a privileged caller, the user namespace.
struct Namespaced<'c> {
    plan: ContainerPlan,
    channel: &'c OwnedFd,
}

/// In the container's root, in all of its namespaces, with all privilege over them. A process that joins a
/// running container (`exec.rs`) comes in here, without what only init has.
pub(crate) struct Rooted<'c> {
    pub(crate) process: ProcessPlan,
    pub(crate) init: Option<OfInit>,
    pub(crate) host_proc: OwnedFd,
    pub(crate) channel: &'c OwnedFd,
}

/// What only the container's first process has.
pub(crate) struct OfInit {
    gate: Gate,
    start_container: Vec<Hook>,
    hook_state: HookState,
}

/// With the payload's identity, and no way back.
pub(crate) struct Dropped<'c> {
    process: ProcessPlan,
    cwd: Cwd,
    count: Option<FilterCount>,
    init: Option<OfInit>,
    channel: &'c OwnedFd,
}

/// Verified by the parent; only the gate, hooks, filter and execve are left.
pub(crate) struct Confined<'c> {
    ready: ReadyProcess,
    init: Option<OfInit>,
    channel: &'c OwnedFd,
}

impl OfInit {
    /// The socket that `start` connects to, if the container waits for that.
    fn listener(&self) -> Option<&OwnedFd> {
        match &self.gate {
            Gate::Listener(listener) => Some(listener),
            Gate::Channel => None,
        }
    }
}

impl<'c> Stage0<'c> {
    fn enter_namespaces(self) -> StepResult<Namespaced<'c>> {
        let Self { plan, channel } = self;
        if plan.await_devices || matches!(plan.namespaces.user, UserNamespace::EnterFirst) {
            // The parent writes our id maps through /proc, which wants us dumpable. Network devices have to be there before
            // kernel parameters name them.
            proto::await_parent(channel, FromParent::Mapped)?;
        }
        // Before any namespace of somebody else is joined: its processes must not look into us (CVE-2016-9962). The
        // score must come first: it is refused to a process that is not dumpable.
        identity::apply_early(&plan.early, &plan.host_proc)?;
        namespaces::make_time(&plan.namespaces, &plan.host_proc)?;
        casemate_sys::process::set_dumpable(false).step("dumpable", || "init")?;
        namespaces::enter(&plan.namespaces, &plan.host_proc)?;
        namespaces::configure(&plan)?;
        Ok(Namespaced { plan, channel })
    }
}

impl<'c> Namespaced<'c> {
    fn build_root(self) -> StepResult<Rooted<'c>> {
        let Self { plan, channel } = self;
        sysctl::write_all(&plan.host_proc, &plan.sysctls)?;
        let tree = rootfs::Builder::open(&plan.root, &plan.namespaces.user)?.mount_all()?;
        let console = plan.terminal.map(|size| tree.console(size)).transpose()?;
        if let Some(console) = &console {
            proto::send_console(channel, &console.master)?;
        }
        if plan.parent_hooks {
            proto::send_tree_built(channel)?;
            proto::await_parent(channel, FromParent::HooksDone)?;
        }
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let state = plan.hook_state.render("created", pid);
        let enter = || {
            if let UserNamespace::EnterLast(_) = plan.namespaces.user {
                hook_view::open_ways(&plan.root.rootfs, &plan.hook_state.bundle)?;
            }
            namespaces::enter_user_for_hook(&plan.namespaces)
        };
        hooks::run_all_confined(&plan.create_container, &state, &enter)?;
        tree.seal()?.pivot(&plan.host_proc)?;
        identity::limit_descriptors(&plan.early)?;
        if console.is_none() {
            identity::own_stdio(plan.early.stdio_owner)?;
        }
        namespaces::enter_user_last(&plan.namespaces)?;
        if let UserNamespace::EnterLast(_) = plan.namespaces.user {
            rootfs::share_again(&plan.root)?;
        }
        match (console, &plan.namespaces.user) {
            // In the user namespace by now, so the owner is as the container knows it.
            (Some(console), UserNamespace::EnterLast(_)) => {
                identity::take_terminal(console.in_copied_mounts()?, plan.process.uid)?;
            }
            (Some(console), _) => {
                identity::take_terminal(&console.peer, plan.early.stdio_owner)?;
            }
            (None, _) => {}
        }
        let ContainerPlan { process, gate, start_container, hook_state, host_proc, .. } = plan;
        let init = Some(OfInit { gate, start_container, hook_state });
        Ok(Rooted { process, init, host_proc, channel })
    }
}

impl<'c> Rooted<'c> {
    pub(crate) fn drop_privilege(self) -> StepResult<Dropped<'c>> {
        let Self { process, init, host_proc, channel } = self;
        let late = filters::slot(process.no_new_privs, &process.seccomp) == FilterSlot::BeforeExec;
        let waits = init.as_ref().is_some_and(|init| init.listener().is_some());
        // Who waits for `start` gets it from there.
        let count = match late && waits {
            true => None,
            false => FilterCount::open(&process.seccomp, &host_proc)?,
        };
        let cwd = confine::drop_privilege(&process, &host_proc)?;
        Ok(Dropped { process, cwd, count, init, channel })
    }
}

impl<'c> Dropped<'c> {
    pub(crate) fn confine(self) -> StepResult<Confined<'c>> {
        let Self { process, cwd, count, mut init, channel } = self;
        let mut ours = vec![channel.as_raw_fd()];
        if let Some(init) = &mut init {
            for hook in init.start_container.iter_mut().filter(|hook| hook.home) {
                add_home(&mut hook.env, process.uid);
            }
            ours.extend(init.listener().map(AsRawFd::as_raw_fd));
        }
        let mut ready = ready::prepare(process, cwd, count, &ours)?;
        if init.is_some() {
            // Before a filter that may forbid it: a container that was created and is not wanted any more can
            // be stopped.
            signals::end_when_asked().step("gate", || "signals")?;
        }
        // A listener has to reach its agent while the parent is still there to deliver it.
        filters::load_filters(ready.filters(), FilterSlot::BeforeReady, channel)?;
        if ready.filters().are_loaded(FilterSlot::BeforeReady) {
            ready.count_by(None);
        }
        proto::send_ready(channel)?;
        if init.as_ref().is_some_and(|init| init.listener().is_some()) {
            proto::await_parent(channel, FromParent::Commit)?;
        }
        Ok(Confined { ready, init, channel })
    }
}

impl Confined<'_> {
    /// Returns only what went wrong.
    pub(crate) fn start(mut self) -> StepResult<Failure> {
        let connection = match self.init.as_ref().and_then(OfInit::listener) {
            None => {
                proto::await_parent(self.channel, FromParent::Start)?;
                None
            }
            Some(listener) => {
                let late = self.ready.filters().are_loaded(FilterSlot::BeforeExec);
                let (connection, status) = await_start(listener, late)?;
                if late {
                    self.ready.count_by(status);
                }
                Some(connection)
            }
        };
        let failure = self.run_payload();
        if let Some(connection) = connection {
            // Whoever started us is told; the channel's other end has gone with `create`.
            proto::send_failure(&connection, &failure);
            casemate_sys::process::exit_now(FAILED);
        }
        Ok(failure)
    }

    fn run_payload(&self) -> Failure {
        if let Some(Err(failure)) = self.init.as_ref().map(|init| self.run_hooks(init)) {
            return failure;
        }
        self.ready.exec(self.channel)
    }

    /// The startContainer hooks.
    fn run_hooks(&self, init: &OfInit) -> StepResult<()> {
        // The payload sees itself as the container's process: the state is "created" until the program runs.
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let state = init.hook_state.render("created", pid);
        // They are programs of the image, and no less confined than the one that the image is for.
        let confine =
            || filters::load_filters(self.ready.filters(), FilterSlot::BeforeExec, self.channel);
        hooks::run_all_confined(&init.start_container, &state, &confine)
    }
}

/// Wait for a `start` that says so; a caller that connects and dies does not start anything. With `takes` what it hands over
/// is taken: our /proc/PID/status.
fn await_start(listener: &OwnedFd, takes: bool) -> StepResult<(OwnedFd, Option<OwnedFd>)> {
    loop {
        let connection = socket::accept(listener).step("gate", || "start")?;
        // Anything else, and an error, is not the word.
        let word = match takes {
            true => proto::await_start(&connection),
            false => proto::await_parent(&connection, FromParent::Start).map(|()| None),
        };
        if let Ok(status) = word {
            // Taken: a second `start` that waits in the queue sees the connection end without this word. Who said the
            // word may be dead by now; started is started, all the same.
            socket::send(&connection, b"S", &[]).ok();
            return Ok((connection, status));
        }
    }
}
