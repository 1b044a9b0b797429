//! The container's cgroup, whichever driver makes it.

use crate::decide::caller::Caller;
use crate::hinted::hinted;
use crate::plan;
use crate::request::{CgroupManager, Global, Rootless};
use crate::state::CgroupRecord;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_cgroup::devices::{DeviceRule, LoadedDevices};
use casemate_cgroup::systemd::{
    parse_annotation, system_bus_is_roots, BusAddress, Manager, Property, Scope, ScopeRequest, Unit,
};
use casemate_cgroup::{resolve_fs_path, Cgroup, Contents, Hierarchy, Limits, Marks, SystemdPath};
use casemate_kernel::HostId;
use casemate_policy::spec::{Mount, NamespaceKind};
use casemate_policy::HardenedSpec;
use casemate_sandbox::launch::Placeholder;
use casemate_sandbox::{Failure, StepResult};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the cgroup goes and what is in force there; nothing is made yet.
#[derive(Debug)]
pub(crate) struct CgroupPlan {
    hierarchy: Option<Hierarchy>,
    place: Place,
    /// The limits.
    pub limits: Limits,
    /// The device rules.
    devices: Vec<DeviceRule>,
    /// Missing permission may be tolerated.
    rootless: bool,
    /// The bundle says where the cgroup goes.
    asked: bool,
    /// The container's state directory, by which its cgroup is marked.
    owner: PathBuf,
    marks: Marks,
}

#[derive(Debug)]
enum Place {
    Nowhere,
    Directory(PathBuf),
    Unit(SystemdPath, Manager, Vec<Property>),
}

/// The cgroup2 hierarchy, unless cgroups are disabled.
pub(crate) fn hierarchy(global: &Global) -> Result<Option<Hierarchy>> {
    match global.cgroup_manager {
        CgroupManager::Disabled => Ok(None),
        _ => Ok(Some(Hierarchy::discover()?)),
    }
}

/// `--rootless`, resolved (contract: auto is true for a caller that is not root of the host). Root of a user namespace that
/// has a systemd of its own is root for that one.
pub(crate) fn is_rootless(global: &Global, caller: &Caller) -> bool {
    match global.rootless {
        Rootless::Yes => true,
        Rootless::No => false,
        Rootless::Auto if caller.euid != 0 => true,
        Rootless::Auto if caller.initial_user_namespace => false,
        Rootless::Auto => {
            !(global.cgroup_manager == CgroupManager::Systemd && system_bus_is_roots())
        }
    }
}

/// A cgroup that was just made.
#[derive(Debug)]
pub(crate) struct Made {
    /// The cgroup.
    pub cgroup: Cgroup,
    /// What keeps systemd from removing it while it is empty; to be dropped when init is inside.
    pub placeholder: Option<Placeholder>,
    /// What `delete` needs.
    pub record: CgroupRecord,
}

impl Made {
    fn new(
        cgroup: Cgroup,
        placeholder: Option<Placeholder>,
        unit: Option<Unit>,
        before: Option<Contents>,
    ) -> Self {
        let record = CgroupRecord { path: cgroup.path().to_owned(), unit, before };
        Self { cgroup, placeholder, record }
    }
}

/// `org.systemd.property.NAME` annotations: unit properties in their text form, as runc and crun take them. Which of them a
/// container may bring is control `annotations.acting`'s to say.
fn unit_properties(spec: &HardenedSpec) -> Result<Vec<Property>> {
    let mut properties = Vec::new();
    for (key, value) in
        spec.annotations.iter().filter(|(key, _)| key.starts_with("org.systemd.property."))
    {
        properties
            .extend(parse_annotation(key, value).with_context(|| format!("annotations {key}"))?);
    }
    Ok(properties)
}

impl CgroupPlan {
    /// Decide where and what.
    pub(crate) fn new(
        global: &Global,
        spec: &HardenedSpec,
        id: &str,
        caller: &Caller,
        hierarchy: Option<Hierarchy>,
    ) -> Result<Self> {
        let limits = plan::cgroup::limits(spec.linux.resources.as_ref())?;
        limits.validate().context("linux.resources")?;
        let asked = spec.linux.cgroups_path.as_deref();
        let place = match (&hierarchy, global.cgroup_manager) {
            (None, _) | (_, CgroupManager::Disabled) => Place::Nowhere,
            (Some(hierarchy), CgroupManager::Cgroupfs) => {
                let own = hierarchy.own_path()?;
                Place::Directory(resolve_fs_path(asked, id, &own).context("linux.cgroupsPath")?)
            }
            (Some(_), CgroupManager::Systemd) => {
                let user = is_rootless(global, caller);
                let path = SystemdPath::parse(asked, id, user).context("linux.cgroupsPath")?;
                let manager = if user { Manager::User } else { Manager::System };
                Place::Unit(path, manager, unit_properties(spec)?)
            }
        };
        let owner = absolute(&global.root.join(id))?;
        let marks = marks(caller.privileged && caller.initial_user_namespace);
        let devices = plan::devices::rules(spec)?;
        Ok(Self {
            hierarchy,
            place,
            limits,
            devices,
            rootless: is_rootless(global, caller),
            asked: asked.is_some(),
            owner,
            marks,
        })
    }

    /// Whether the container may be made there: not in the cgroup of another one. Asked by who makes it; what is judged for a
    /// container that is running already has that one's cgroup.
    ///
    /// # Errors
    /// It may not, or that cannot be told.
    pub(crate) fn check(&self, spec: &HardenedSpec) -> Result<()> {
        match (&self.hierarchy, &self.place) {
            (Some(hierarchy), Place::Directory(inner)) if !spec.is_verbatim() => {
                refuse_of_another(hierarchy, inner, self.marks, &self.owner)
                    .context("linux.cgroupsPath")
            }
            _ => Ok(()),
        }
    }

    /// The mount point of the hierarchy.
    pub(crate) fn mount_point(&self) -> Option<PathBuf> {
        self.hierarchy.as_ref().map(|h| h.mount_point().to_owned())
    }

    /// What `delete` needs, written down before anything is made.
    pub(crate) fn record(&self) -> Result<Option<CgroupRecord>> {
        match (&self.hierarchy, &self.place) {
            (Some(hierarchy), Place::Directory(inner)) => {
                let path = hierarchy.locate(inner)?;
                // One that is there already is somebody else's until the creation has found it empty: a creation that is
                // killed before then leaves a record that no command acts on.
                // So is one of which that cannot be told.
                let ours =
                    matches!(path.symlink_metadata(), Err(e) if e.kind() == ErrorKind::NotFound);
                let path = if ours { path } else { PathBuf::new() };
                Ok(Some(CgroupRecord { path, unit: None, before: None }))
            }
            (Some(_), Place::Unit(path, manager, _)) => {
                let unit =
                    Unit { name: path.unit(), manager: *manager, bus: BusAddress::of(*manager)? };
                Ok(Some(CgroupRecord { path: PathBuf::new(), unit: Some(unit), before: None }))
            }
            _ => Ok(None),
        }
    }

    /// Make the cgroup and put the limits in force. `None`: the container stays in the caller's cgroup.
    pub(crate) fn make(&self) -> Result<Option<Made>> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(None) };
        let made = match &self.place {
            Place::Nowhere => return Ok(None),
            Place::Directory(inner) => {
                // Those that no limit needs as well, as far as they can be had: payloads that make cgroups of their own find
                // what other runtimes give them, and an update need not enable one beside running processes.
                let all = hierarchy.controllers()?;
                let all: Vec<&str> = all.iter().map(String::as_str).collect();
                let needed = self.limits.needed_controllers();
                match Cgroup::create_with(hierarchy, inner, &needed, &all) {
                    Ok(cgroup) => {
                        // Before anything is written to it.
                        let before = cgroup.existed().then(|| cgroup.contents()).transpose()?;
                        Made::new(cgroup, None, None, before)
                    }
                    Err(e) if self.rootless && e.is_permission() => {
                        return self.without_permission(e)
                    }
                    Err(e) => return Err(e).context("cgroup"),
                }
            }
            Place::Unit(path, manager, extra) => {
                self.start_scope(hierarchy, path, *manager, extra)?
            }
        };
        if let Err(e) = self.mark(&made.cgroup).and_then(|()| self.limit(&made.cgroup)) {
            // The first error is the one to report; the placeholder ends by itself.
            drop(made.placeholder);
            remove(&made.record, self.rootless).ok();
            return Err(e);
        }
        Ok(Some(made))
    }

    fn mark(&self, cgroup: &Cgroup) -> Result<()> {
        match self.marks.write(cgroup, &self.owner) {
            Err(e) if self.rootless && e.is_permission() => Ok(()),
            other => other.context("cgroup"),
        }
    }

    fn limit(&self, cgroup: &Cgroup) -> Result<()> {
        match self.limits.is_empty() {
            true => Ok(()),
            false => cgroup.apply(&self.limits).context("linux.resources"),
        }
    }

    /// systemd makes a scope only around a process. Init is to be born inside, not moved, so a parked one holds its place.
    fn start_scope(
        &self,
        hierarchy: &Hierarchy,
        path: &SystemdPath,
        manager: Manager,
        extra: &[Property],
    ) -> Result<Made> {
        let placeholder = Placeholder::new()?;
        let request = ScopeRequest {
            manager,
            path,
            description: &format!("casemate container {}", path.name),
            placeholder: placeholder.pid(),
            limits: &self.limits,
            devices: None,
            extra,
        };
        let Scope { cgroup, unit } = Scope::start(hierarchy, &request).context("cgroup")?;
        Ok(Made::new(cgroup, Some(placeholder), Some(unit), None))
    }

    /// A caller without the right to make cgroups may go without one, if nothing depends on it.
    fn without_permission(&self, error: casemate_cgroup::Error) -> Result<Option<Made>> {
        if self.asked {
            return Err(error).context("cgroup");
        }
        if !self.limits.is_empty() {
            bail!("rootless needs no limits + no cgrouppath when no permission is granted for cgroups: {error}");
        }
        Ok(None)
    }

    /// Have the kernel take the device rules in; `None` when it may not and need not.
    pub(crate) fn load_devices(&self, cgroup: &Cgroup) -> Result<Option<LoadedDevices>> {
        match cgroup.load_devices(&self.devices) {
            Err(e) if self.rootless && e.is_permission() => Ok(None),
            other => other.map(Some).context("linux.resources.devices"),
        }
    }

    /// Put them in force. Not before the container's side has made its device nodes: making one is an access as well, and
    /// the container shall not be allowed it.
    pub(crate) fn attach_devices(&self, cgroup: &Cgroup, program: &LoadedDevices) -> Result<()> {
        match cgroup.attach_devices(program) {
            Err(e) if self.rootless && e.is_permission() => Ok(()),
            other => other.context("linux.resources.devices"),
        }
    }
}

const fn marks(root_of_host: bool) -> Marks {
    match root_of_host {
        true => Marks::Roots,
        false => Marks::Users,
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|e| anyhow!("{}: {}", path.display(), crate::files::io_error_text(&e)))
}

/// A cgroup that is or lies in another container's is frozen, limited and killed with that one, and what is done to it is
/// done there. It stands to reason only for containers of a runtime that runs in that container itself. What a container
/// has left that is no more is nobody's.
fn refuse_of_another(hierarchy: &Hierarchy, inner: &Path, marks: Marks, own: &Path) -> Result<()> {
    let path = hierarchy.locate(inner)?;
    for (cgroup, owner) in marks.on_the_way(hierarchy, &path)? {
        let is_gone = matches!(owner.symlink_metadata(), Err(e) if e.kind() == ErrorKind::NotFound);
        if owner == own || is_gone || hierarchy.locate(&hierarchy.own_path()?)?.starts_with(&cgroup)
        {
            continue;
        }
        let id = owner.file_name().unwrap_or_default().to_string_lossy();
        let what = if cgroup == path { "is" } else { "lies in" };
        let inner = inner.display();
        return Err(hinted(
            format!(
                "{inner} {what} the cgroup of container {id}: what freezes or ends one of them would do so to the other"
            ),
            "choose a cgroup beside that one",
        ));
    }
    Ok(())
}

/// Which container a process is of, by the mark of its cgroup.
///
/// # Errors
/// Its cgroup cannot be looked at.
pub(crate) fn whose(pid: i32) -> Result<String> {
    let owner = || {
        let hierarchy = Hierarchy::discover()?;
        let path = hierarchy.locate(&hierarchy.path_of(pid)?)?;
        casemate_cgroup::Result::Ok(Marks::Roots.on_the_way(&hierarchy, &path)?.pop())
    };
    match owner() {
        Ok(Some((_, owner))) => {
            Ok(format!("container {}", owner.file_name().unwrap_or_default().to_string_lossy()))
        }
        Ok(None) => Ok(format!("of process {pid}, in no cgroup that casemate has marked")),
        // It has ended, or no such cgroup is in sight.
        Err(e) if e.is_gone() || e.errno().is_none() => Ok(format!("of process {pid}")),
        Err(e) => Err(e).context(format!("cgroup of process {pid}")),
    }
}

/// For a unit's cgroups that the caller may neither bear processes in nor move them to: have systemd move one, by its pid, into
/// the first of `cgroups` that takes it. An ordinary user's login session is such a caller: it stands beside what was
/// delegated to the user's own systemd.
pub(crate) fn mover<'a>(
    record: Option<&'a CgroupRecord>,
    cgroups: &[&'a Cgroup],
) -> Result<Option<impl Fn(i32) -> StepResult<()> + 'a>> {
    let Some((unit, base)) = record.and_then(|r| Some((r.unit.as_ref()?, r.path.as_path()))) else {
        return Ok(None);
    };
    if unit.manager != Manager::User {
        return Ok(None);
    }
    let hierarchy = Hierarchy::discover()?;
    let own = hierarchy.own_path()?;
    if cgroups.iter().all(|cgroup| cgroup.takes_from(&hierarchy, &own)) {
        return Ok(None);
    }
    let places: Vec<String> = cgroups.iter().filter_map(|c| below(base, c.path())).collect();
    Ok(Some(move |pid: i32| {
        let mut outcome = Err(Failure::new("cgroup", format!("{} has no place", unit.name)));
        for place in &places {
            outcome = unit.attach(place, &[pid]).map_err(|e| Failure::new("cgroup", e.to_string()));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }))
}

/// A cgroup as seen from its unit's: empty for that one, else with a leading slash. `None`: it is none of the unit's, and no
/// place for its processes.
fn below(base: &Path, path: &Path) -> Option<String> {
    let rest = path.strip_prefix(base).ok()?.to_str()?;
    Some(if rest.is_empty() { String::new() } else { format!("/{rest}") })
}

/// Put changed limits in force.
pub(crate) fn update(
    cgroup: &Cgroup,
    record: &crate::state::Record,
    limits: &Limits,
) -> Result<()> {
    if let Some(unit) = record.cgroup.as_ref().and_then(|cgroup| cgroup.unit.as_ref()) {
        unit.set_limits(limits)?;
    }
    cgroup.enable_controllers(&Hierarchy::discover()?, &limits.needed_controllers(), &[])?;
    Ok(cgroup.apply(limits)?)
}

/// Remove a container's cgroup with everything below it; one that existed before is given back as it was. Directories above it
/// stay, also those that creation made: others may be making theirs in them by now. A creation that fails takes them back.
pub(crate) fn remove(record: &CgroupRecord, rootless: bool) -> Result<()> {
    if record.path.as_os_str().is_empty() {
        // Not ours yet: a cgroup that was there before, or a unit that systemd has not said to be ours.
        return Ok(());
    }
    if let Some(unit) = &record.unit {
        unit.stop()?;
    }
    let removed = match &record.before {
        Some(before) => casemate_cgroup::give_back(&record.path, before)
            .and_then(|()| Marks::remove(&record.path)),
        None => casemate_cgroup::remove_tree(&record.path),
    };
    match removed {
        Err(e) if rootless && e.is_permission() => Ok(()),
        other => Ok(other?),
    }
}

/// The user of the container that gets the cgroup: it can see it as its own (a private cgroup namespace) and was given a
/// writable mount of it, as systemd in a container needs (runc does the same).
pub(crate) fn delegated_to(spec: &HardenedSpec) -> Option<u32> {
    let private =
        spec.namespace(NamespaceKind::Cgroup).is_some_and(|namespace| namespace.path.is_none());
    let writable = |mount: &Mount| {
        let is_cgroup = matches!(mount.kind.as_deref(), Some("cgroup" | "cgroup2"));
        is_cgroup && !mount.options.iter().any(|option| option == "ro" || option == "rro")
    };
    let process = spec.process.as_ref()?;
    (private && spec.mounts.iter().any(writable)).then_some(process.user.uid)
}

/// Let the container manage what is below its cgroup.
pub(super) fn hand_over(cgroup: &Cgroup, uid: Option<HostId>, rootless: bool) -> Result<()> {
    let uid = uid.ok_or_else(|| {
        anyhow!("process.user.uid: is not mapped, the cgroup cannot be handed over to it")
    })?;
    match cgroup.delegate(uid.0) {
        Err(e) if rootless && e.is_permission() => Ok(()),
        other => other.context("cgroup"),
    }
}
