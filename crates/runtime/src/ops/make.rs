//! Making a container, up to the point where its process is ready and verified: what `create` and `run` share. Each stage
//! takes the one before it: [`Bundle`], `Decided`, `Resolved`, `Plan`, [`Made`].

use crate::audit_log::Trail;
use crate::decide::bundle::Bundle;
use crate::decide::decide;
use crate::launch::container::{launch, HeldBy, How, Launched};
use crate::launch::pid_file;
use crate::launch::room::Room;
use crate::launch::supervise::{self, ConsoleSink};
use crate::launch::verify::Posture;
use crate::plan::container::{plan, Plan};
use crate::request::{CreateRequest, Global};
use crate::resolve::{apparmor, resolve, userns, Resolved};
use crate::state::{Record, StateDir, StateRoot};
use crate::undo::Undo;
use crate::unmappable::Unmappable;
use anyhow::Result;
use casemate_policy::HardenedSpec;
use casemate_sandbox::launch::Spawned;
use rustix::fd::OwnedFd;
use tracing::{debug, debug_span};

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
///
/// # Errors
/// A refusal; any step. What was made is taken back.
pub(crate) fn make(
    global: &Global,
    request: &CreateRequest,
    held_by: HeldBy,
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
    let how = How { request, held_by, console: console(request, held_by, &decided.spec)? };
    if decided.needs_apparmor_profile() {
        apparmor::load()?;
    }
    let mut undo = Undo::default();
    let resolved = match resolve(decided, &request.id, &global.root.join(&request.id), &mut undo) {
        Ok(resolved) => resolved,
        Err(error) => return Err(undo.roll_back(error)),
    };
    let Planned { resolved, plan, room, state } =
        match debug_span!("plan").in_scope(|| planned(global, request, resolved, &mut undo)) {
            Ok(planned) => planned,
            Err(error) => return Err(undo.roll_back(error)),
        };
    userns::warn_of_later_mounts(&resolved.decided.decisions);
    // Once more: the host may have had a say in it.
    trail.describe(&resolved.decided);
    match launch(&state, resolved, *plan, room, how, &mut undo) {
        Ok(Launched { record, proc, child, master, posture }) => {
            Ok(Made { state, record, proc, child, master, undo, posture })
        }
        Err(error) => {
            let error = undo.roll_back(error);
            // The state directory goes last, as it was made first.
            match state.remove() {
                Ok(()) => Err(error),
                Err(e) => Err(error.context(format!("could not remove its state ({e:#})"))),
            }
        }
    }
}

fn console(request: &CreateRequest, held_by: HeldBy, spec: &HardenedSpec) -> Result<ConsoleSink> {
    let detached = held_by != HeldBy::Run(false);
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    supervise::console_sink(terminal, detached, request.console_socket.as_ref(), spec)
}

/// Ready to be launched.
struct Planned {
    resolved: Resolved,
    plan: Box<Plan>,
    room: Room,
    state: StateDir,
}

/// Step 6 and the state directory. A plan that is not possible with the container's own ids is made once more without.
fn planned(
    global: &Global,
    request: &CreateRequest,
    mut resolved: Resolved,
    undo: &mut Undo,
) -> Result<Planned> {
    let room = Room::make()?;
    let mut first = plan(request, &resolved.decided);
    if let (Err(error), true) = (&first, resolved.id_range.is_some()) {
        if let Some(reason) = error.downcast_ref::<Unmappable>() {
            resolved = resolved.without_user_namespace(reason, undo)?;
            first = plan(request, &resolved.decided);
        }
    }
    let mut plan = first?;
    room.keep_from(&mut plan.container.early);
    let keyring = resolved.decided.spec.keyring_decision(request.no_new_keyring);
    resolved.decided.decisions.extend(keyring);
    debug!("container {}: planned, taking its state directory", request.id);
    let root = StateRoot::create(&global.root, global.root_in_xdg_runtime_dir)?;
    let state = root.reserve(&request.id)?;
    Ok(Planned { resolved, plan, room, state })
}
