//! Steps 7 to 12: from the plan to a container whose process is ready and verified. Everything that is made has its
//! opposite on the list of what to take back.

use super::first_record::first_record;
use super::room::Room;
use super::spawn::{joined_network, kill_init, move_devices, oom_or, spawn};
use super::supervise::{ConsoleSink, SeccompAgent, Supervision};
use super::verify::{Expectation, Posture};
use super::{cgroups, hooks, neighbours, notify};
use crate::decide::Decided;
use crate::plan::container::{ParentPlan, Plan};
use crate::plan::namespaces::Held;
use crate::procfs;
use crate::request::CreateRequest;
use crate::resolve::{ids, selinux, Resolved};
use crate::state::{InitRecord, Record, StateDir};
use crate::undo::Undo;
use anyhow::{anyhow, Result};
use casemate_cgroup::Cgroup;
use casemate_kernel::InnerId;
use casemate_sandbox::launch::{Placeholder, Spawned};
use casemate_sandbox::plan::{ContainerPlan, Gate};
use casemate_sandbox::proto::{tell_child, FromParent};
use rustix::fd::OwnedFd;
use std::path::Path;
use tracing::{debug, debug_span};

/// Who holds the container until it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// `create`: a gate in the state directory.
    Created,
    /// `run`: we stay; `true`: detached, so there is nobody to copy a terminal's bytes.
    Run(bool),
}

/// How the caller wants it.
pub(crate) struct How<'r> {
    pub(crate) request: &'r CreateRequest,
    pub(crate) held_by: HeldBy,
    pub(crate) console: ConsoleSink,
}

/// What came of it.
pub(crate) struct Launched {
    pub(crate) record: Box<Record>,
    pub(crate) proc: OwnedFd,
    pub(crate) child: Spawned,
    /// The other side of a terminal that stays here.
    pub(crate) master: Option<OwnedFd>,
    pub(crate) posture: Posture,
}

/// Makes the container. `room`: for the descriptors of the plan, which the child has once it is there.
///
/// # Errors
/// Any step; what is to be taken back then is in `undo`.
pub(crate) fn launch(
    state: &StateDir,
    mut resolved: Resolved,
    plan: Plan,
    room: Room,
    how: How<'_>,
    undo: &mut Undo,
) -> Result<Launched> {
    let Plan { container, held, mut expectation, parent } = plan;
    let record = first_record(&mut resolved, &parent, how.request)?;
    let decided = resolved.decided;
    state.save_first(&record)?;
    let host = (&decided.proc, &decided.facts.mountinfo[..]);
    neighbours::register(state.root_path(), &record, &decided.caller, host)?;
    let mut launch = Launch { state, decided: &decided, parent: &parent, record, undo };
    launch.remember_poststop();
    let (cgroup, placeholder) = debug_span!("cgroup").in_scope(|| launch.make_cgroup())?;
    launch.relabel()?;
    let container = launch.complete(container, held.as_ref(), how.held_by)?;
    launch.expect_namespaces(&container, &mut expectation)?;
    let joined = joined_network(&container)?;
    let child = debug_span!("launch").in_scope(|| launch.spawn(container, cgroup.as_ref()))?;
    drop(placeholder);
    drop(room);
    launch.provide(&child, joined)?;
    // It has ended by now, or is about to.
    drop(held);
    // While the child builds its tree: everything that does not need the result.
    launch.write_down(child.pid)?;
    let devices = match &cgroup {
        Some(cgroup) => decided.cgroup.load_devices(cgroup)?,
        None => None,
    };
    let served = debug_span!("build").in_scope(|| launch.serve(how.console, &child));
    let master = served.map_err(|error| oom_or(error, cgroup.as_ref()))?;
    debug!("container init: ready, being verified");
    let mut posture =
        debug_span!("verify").in_scope(|| expectation.verify(&decided.proc, child.pid))?;
    posture.hook_digests = decided.hook_digests();
    if let (Some(cgroup), Some(devices)) = (&cgroup, &devices) {
        decided.cgroup.attach_devices(cgroup, devices)?;
    }
    let record = launch.record;
    Ok(Launched { record, proc: decided.proc, child, master, posture })
}

/// A container that is being made.
struct Launch<'a> {
    state: &'a StateDir,
    decided: &'a Decided,
    parent: &'a ParentPlan,
    record: Box<Record>,
    undo: &'a mut Undo,
}

impl Launch<'_> {
    fn remember_poststop(&mut self) {
        let (list, state) = (self.parent.poststop.clone(), self.parent.hook_state.clone());
        self.undo.push("poststop hooks", move || {
            hooks::run_poststop(&list, &state);
            Ok(())
        });
    }

    /// The cgroup, and what holds its place until init is inside; recorded as it turned out.
    fn make_cgroup(&mut self) -> Result<(Option<Cgroup>, Option<Placeholder>)> {
        let made = self.decided.cgroup.make()?;
        let planned = self.record.cgroup.clone();
        match (&made, &mut self.record.cgroup) {
            (Some(made), Some(kept)) => {
                *kept = made.record.clone();
                let kept = made.record.clone();
                self.undo.push("cgroup", move || cgroups::remove(&kept, false));
            }
            (_, kept) => *kept = None,
        }
        if self.record.cgroup != planned {
            // Only systemd knows beforehand where its scopes go, and only the kernel whether we may make one at all
            // and whether it was there.
            self.state.save(&self.record)?;
        }
        let Some(cgroups::Made { cgroup, placeholder, .. }) = made else {
            debug!("no cgroup");
            return Ok((None, None));
        };
        if let Some(uid) = cgroups::delegated_to(&self.decided.spec) {
            let uid = self.parent.maps.host_uid(InnerId(uid));
            cgroups::hand_over(&cgroup, uid, self.record.rootless)?;
        }
        debug!("cgroup {}: made", cgroup.path().display());
        Ok((Some(cgroup), placeholder))
    }

    fn relabel(&self) -> Result<()> {
        match &self.decided.spec.linux.mount_label {
            Some(label) if self.parent.relabel => selinux::relabel(&self.parent.rootfs, label),
            _ => Ok(()),
        }
    }

    /// With what the plan could not have before there was a state directory: the gate, the socket for readiness, and
    /// the namespaces that a process holds for it until it has joined them.
    fn complete(
        &self,
        mut plan: ContainerPlan,
        held: Option<&Held>,
        held_by: HeldBy,
    ) -> Result<ContainerPlan> {
        if held_by == HeldBy::Created {
            plan.gate = Gate::Listener(self.state.make_gate()?);
        }
        if self.record.notify_socket.is_some() {
            notify::prepare(self.state, &mut plan)?;
        }
        if let Some(held) = held {
            held.join(&self.decided.proc, &mut plan.namespaces)?;
        }
        Ok(plan)
    }

    fn expect_namespaces(&self, plan: &ContainerPlan, expected: &mut Expectation) -> Result<()> {
        let state_root = self.state.path().parent().unwrap_or(Path::new("/")).to_owned();
        expected.join(&plan.namespaces, self.parent.pid_namespace.as_ref(), &state_root)
    }

    fn spawn(&self, plan: ContainerPlan, cgroup: Option<&Cgroup>) -> Result<Spawned> {
        let target = (cgroup, self.record.cgroup.as_ref());
        let pid_namespace = self.parent.pid_namespace.as_ref();
        let child = spawn(plan, target, pid_namespace, &self.decided.proc)?;
        debug!("container init: process {}, building its tree", child.pid);
        Ok(child)
    }

    /// What the new process waits for, and from now on its end.
    fn provide(&mut self, child: &Spawned, joined: Option<OwnedFd>) -> Result<()> {
        let pid = child.pid;
        let channel = child.channel.try_clone().map_err(|e| crate::files::io_error_text(&e))?;
        self.undo.push("container init", move || kill_init(pid, &channel));
        if let Some(moved) = move_devices(self.decided, pid, joined)? {
            self.undo.push("network devices", move || moved.give_back());
        }
        self.finish_map(child)
    }

    /// What the child waits for: without privilege its maps, which are written when it exists; network devices.
    fn finish_map(&self, child: &Spawned) -> Result<()> {
        let enter_first = !self.decided.caller.privileged;
        if enter_first {
            ids::write_maps(&self.decided.proc, child.pid, &self.parent.maps, false)?;
        }
        if enter_first || !self.decided.spec.linux.net_devices.is_empty() {
            tell_child(&child.channel, FromParent::Mapped)?;
        }
        Ok(())
    }

    /// Who init is, and the files that the record refers to.
    fn write_down(&mut self, pid: i32) -> Result<()> {
        // We have not waited for it: its number is not anybody else's, even if it has ended.
        let stat = procfs::stat(&self.decided.proc, pid)?
            .ok_or_else(|| anyhow!("container init is gone"))?;
        let init = InitRecord { pid, start_time: stat.start_time };
        self.state.save_init(&init, &self.record)?;
        self.record.init = Some(init);
        let filters = &self.parent.filters;
        if !filters.is_empty() {
            let programs: Vec<&[u8]> = filters.iter().map(|f| f.program.as_slice()).collect();
            self.state.write_new("seccomp.bpf", &programs)?;
        }
        if !self.decided.decisions.is_empty() {
            let bytes = serde_json::to_vec(&self.decided.decisions)?;
            self.state.write_new("decisions.json", &[&bytes])?;
        }
        Ok(())
    }

    /// Do what the new process asks for until it is ready; the terminal's other side, if it has one that stays here.
    fn serve(&self, console: ConsoleSink, child: &Spawned) -> Result<Option<OwnedFd>> {
        let supervision = Supervision {
            console,
            hooks: self.parent.hooks.clone(),
            hook_state: &self.parent.hook_state,
            listener: self.agent(),
            limit: crate::plan::hooks::limit(&self.record.spec.hooks.create_container),
        };
        supervision.serve(child)
    }

    fn agent(&self) -> Option<SeccompAgent<'_>> {
        self.record.seccomp_listener.as_ref().map(|(path, metadata)| SeccompAgent {
            path,
            metadata,
            status: "creating",
            init_pid: None,
            record: &self.record,
        })
    }
}
