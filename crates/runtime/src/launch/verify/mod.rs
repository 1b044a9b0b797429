//! Verify, then exec: what the kernel says about the finished process is compared with the plan, and with the floor, which
//! knows nothing of the plan; more privilege than planned, or a mount with fewer restrictions, ends the container before its
//! program runs. What was seen is kept in the record.

mod claims;
mod floor;
mod mounts;
mod read;
#[cfg(test)]
mod tests;

use crate::decide::caller::Caller;
use crate::decide::Decided;
use crate::procfs;
use crate::resolve::ids::IdMaps;
use anyhow::{bail, Context as _, Result};
use casemate_kernel::status::Status;
use casemate_kernel::{mountinfo, HostId};
use casemate_policy::HardenedSpec;
use casemate_sandbox::plan::{CapabilityPlan, ContainerPlan, Early, Namespaces, ProcessPlan};
use claims::Claims;
use floor::{PlanOf, Question, Seen};
use mounts::MountClaims;
use rustix::fd::OwnedFd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What the process must look like, taken from the plan before the plan is handed over.
#[derive(Clone, Debug)]
pub struct Expectation {
    uid: HostId,
    gid: HostId,
    caps: CapabilityPlan,
    no_new_privs: bool,
    /// SELinux labels of the process, and of the root file system where that is ours to label.
    selinux: (Option<String>, Option<String>),
    claims: Claims,
    mounts: MountClaims,
    floor: Option<Question>,
}

/// What the process does look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Posture {
    /// Effective uid in the runtime's user namespace.
    pub uid: u32,
    /// Effective gid in the runtime's user namespace.
    pub gid: u32,
    /// Inheritable capabilities, hexadecimal, as all sets.
    pub cap_inheritable: String,
    /// Permitted capabilities.
    pub cap_permitted: String,
    /// Effective capabilities.
    pub cap_effective: String,
    /// Bounding set.
    pub cap_bounding: String,
    /// Ambient set.
    pub cap_ambient: String,
    /// no_new_privs is set.
    pub no_new_privs: bool,
    /// The SELinux label that the program will have, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selinux_label: Option<String>,
    /// The SELinux label of `/`, where the container was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selinux_root: Option<String>,
    /// SHA-256 of the hooks that run on the host's side, hexadecimal, by JSON pointer; where a list of hooks or a log asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hook_digests: BTreeMap<String, String>,
    /// `/` is read-only; absent for exec, which makes no mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_readonly: Option<bool>,
    /// How many mounts were compared.
    pub mounts_checked: usize,
    /// The release whose floor it was compared with; absent in records of releases that had none, and where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
}

impl Expectation {
    /// Of a process, with its ids in the runtime's user namespace.
    pub fn of_process(
        plan: &ProcessPlan,
        early: &Early,
        maps: &IdMaps,
        ids: (HostId, HostId),
    ) -> Self {
        Self {
            uid: ids.0,
            gid: ids.1,
            caps: plan.caps,
            no_new_privs: plan.no_new_privs,
            selinux: (plan.selinux.clone(), None),
            claims: Claims::of(early, maps),
            mounts: MountClaims::default(),
            floor: None,
        }
    }

    /// Of a container.
    pub fn of_container(plan: &ContainerPlan, maps: &IdMaps, ids: (HostId, HostId)) -> Self {
        let process = Self::of_process(&plan.process, &plan.early, maps, ids);
        Self { mounts: MountClaims::of(plan), ..process }
    }

    /// What the container's controls demand beyond the plan.
    pub fn demand(&mut self, plan: &ContainerPlan, spec: &HardenedSpec) {
        self.mounts.demand(plan, spec);
        if spec.extras().auto_label.is_some() {
            self.selinux.1.clone_from(&spec.linux.mount_label);
        }
        let new = spec.linux.namespaces.iter().filter(|namespace| namespace.path.is_none());
        self.claims.new = new
            .fold(0, |kinds, namespace| kinds | crate::plan::namespaces::flag_of(namespace.kind));
    }

    /// The profile's floor. `unmappable`: why there is no user namespace, where one was to be.
    pub fn ask_floor(&mut self, spec: &HardenedSpec, caller: &Caller, unmappable: Option<String>) {
        self.claims.by_ordinary_user = !caller.privileged;
        self.floor = Some(Question::of(spec, caller, unmappable));
    }

    /// The same of a container, and whether its plan is above the floor.
    ///
    /// # Errors
    /// What is below it.
    pub(crate) fn ask_floor_of_plan(&mut self, decided: &Decided, rootfs: &Path) -> Result<()> {
        let Decided { spec, caller, facts, proc, bundle, .. } = decided;
        self.ask_floor(spec, caller, facts.unmappable.clone());
        let plan = PlanOf { spec, facts, rootfs, bundle: &bundle.dir };
        self.floor.as_mut().map_or(Ok(()), |floor| floor.ask_plan(proc, &plan))
    }

    /// The namespaces that are joined, once all of them are there; and where the runtime keeps its state.
    ///
    /// # Errors
    /// One of them cannot be looked at.
    pub fn join(
        &mut self,
        plan: &Namespaces,
        pid: Option<&OwnedFd>,
        state_root: &Path,
    ) -> Result<()> {
        if let Some(floor) = &mut self.floor {
            let path =
                state_root.canonicalize().with_context(|| state_root.display().to_string())?;
            floor.own_places.push(path.to_string_lossy().into_owned());
            floor.program = Some(casemate_boot::image::on_host()?.to_string_lossy().into_owned());
        }
        self.claims.join(plan, pid)
    }

    /// The process is to be in the namespaces of these kinds that `pid` is in.
    pub fn follow(&mut self, pid: i32, kinds: u64) {
        self.claims.follow(pid, kinds);
    }

    /// Read back process `pid` and compare.
    ///
    /// # Errors
    /// What is not as planned, or below the floor; what cannot be read.
    pub fn verify(&self, proc: &OwnedFd, pid: i32) -> Result<Posture> {
        self.verify_all(proc, pid).context("verification before exec")
    }

    fn verify_all(&self, proc: &OwnedFd, pid: i32) -> Result<Posture> {
        let status = read::status(proc, pid)?;
        self.compare(&status)?;
        let mut posture = Posture::of(&status);
        self.verify_labels(proc, pid, &mut posture)?;
        let shared = self.claims.verify_namespaces(proc, pid)?;
        let limits = claims::limits(proc, pid)?;
        self.claims.verify_limits(&limits)?;
        let (uid_map, gid_map) = claims::maps(proc, pid)?;
        self.claims.verify_maps(&uid_map, &gid_map)?;
        let table = match self.mounts.are_made() {
            true => Some(procfs::read_bytes(proc, &format!("{pid}/mountinfo"))?),
            false => None,
        };
        let mounts = table.as_deref().map(mountinfo::parse).transpose()?;
        if let Some(mounts) = &mounts {
            let found = self.mounts.verify(proc, mounts)?;
            posture.root_readonly = Some(found.root_readonly);
            posture.mounts_checked = found.checked;
        }
        if let Some(floor) = self.floor.as_ref().filter(|floor| floor.is_asked()) {
            let (status, limits, mounts) = (&status, &limits[..], mounts.as_deref());
            let (uid_map, gid_map) = (&uid_map[..], &gid_map[..]);
            floor.ask(proc, pid, &Seen { status, uid_map, gid_map, shared, limits, mounts })?;
            posture.floor = Some(env!("CARGO_PKG_VERSION").to_owned());
        }
        Ok(posture)
    }

    fn compare(&self, seen: &Status) -> Result<()> {
        let [_, uid, _, _] = seen.uid;
        let [_, gid, _, _] = seen.gid;
        if (HostId(uid), HostId(gid)) != (self.uid, self.gid) {
            bail!("ids are {uid}:{gid}, planned {}:{}", self.uid, self.gid);
        }
        if self.no_new_privs && !seen.no_new_privs {
            bail!("no_new_privs is not set");
        }
        let sets = [
            ("inheritable", seen.inheritable, self.caps.inheritable),
            ("permitted", seen.permitted, self.caps.permitted),
            ("effective", seen.effective, self.caps.effective),
            ("bounding", seen.bounding, self.caps.bounding),
            ("ambient", seen.ambient, self.caps.ambient),
        ];
        for (name, have, planned) in sets {
            if have & !planned != 0 {
                bail!("{name} capabilities are {have:#x}, planned {planned:#x}");
            }
        }
        Ok(())
    }

    /// The label is what execve will change to. Of files of a type that containers may read anyway only the categories are
    /// looked at, when the container was made.
    fn verify_labels(&self, proc: &OwnedFd, pid: i32, posture: &mut Posture) -> Result<()> {
        let (Some(label), root) = &self.selinux else { return Ok(()) };
        let asked = procfs::read(proc, &format!("{pid}/attr/exec"))?;
        let asked = asked.trim_end_matches(['\n', '\0']);
        if asked != label {
            bail!("the SELinux label for the program is {asked:?}, planned {label:?}");
        }
        posture.selinux_label = Some(asked.to_owned());
        if let Some(planned) = root {
            let path = format!("/proc/{pid}/root/.");
            let found = crate::resolve::selinux::label_of(Path::new(&path));
            let found = found.map_err(|e| anyhow::anyhow!("SELinux label of /: {e}"))?;
            if !crate::resolve::selinux::opens(&found, planned) {
                bail!("the SELinux label of / is {found}, planned {planned}");
            }
            posture.selinux_root = Some(found);
        }
        Ok(())
    }
}

impl Posture {
    fn of(status: &Status) -> Self {
        let mask = |set: u64| format!("{set:016x}");
        Self {
            uid: status.uid[1],
            gid: status.gid[1],
            cap_inheritable: mask(status.inheritable),
            cap_permitted: mask(status.permitted),
            cap_effective: mask(status.effective),
            cap_bounding: mask(status.bounding),
            cap_ambient: mask(status.ambient),
            no_new_privs: status.no_new_privs,
            ..Self::default()
        }
    }
}
