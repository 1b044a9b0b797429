//! Finding what is to be looked at: a bundle, a container of casemate's, or any process.

use crate::foreign::Found;
use crate::kept::Kept;
use crate::observe::evidence::Maker;
use crate::observe::process::Status as ProcessStatus;
use crate::observe::{self, config, present, process, Observation, Place, Unread};
use crate::report::{Decision, Material, Peer, RecordedFloor, Report, Subject};
use crate::standards::Standard;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_cgroup::{Cgroup, Hierarchy};
use casemate_policy::spec::{Hook, NamespaceKind, Spec};
use casemate_policy::{Overrides, Profile, ProfileName};
use casemate_runtime::hinted::hinted;
use casemate_runtime::procfs;
use casemate_runtime::request::Global;
use casemate_runtime::state::{Record, StateRoot, Status};
use casemate_runtime::survey::survey;
use casemate_runtime::verify::Posture;
use casemate_runtime::ContainerId;
use rustix::fd::OwnedFd;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many of a container's processes are looked at.
const MOST_PEERS: usize = 2000;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A bundle directory, and a file in place of its `config.json`.
    Bundle(PathBuf, Option<PathBuf>),
    /// A container of casemate's.
    Container(String),
    /// A container of another runtime.
    Foreign(Found),
    /// A process, whoever made it.
    Process(i32),
}

/// Looks, and reports.
///
/// # Errors
/// There is nothing of that name, or it may not be looked at.
pub fn audit(global: &Global, target: &Target, standards: &[&'static Standard]) -> Result<Report> {
    match target {
        Target::Bundle(dir, config) => of_bundle(global, dir, config.as_ref(), standards),
        Target::Container(id) => of_container(global, id, standards),
        Target::Foreign(found) => of_foreign(global, found, standards),
        Target::Process(pid) => of_process(global, *pid, standards),
    }
}

/// Whether casemate has a container of this name. One whose record cannot be read is one: looking at it tells why.
///
/// # Errors
/// The state root cannot be used.
pub fn is_container(global: &Global, id: &str) -> Result<bool> {
    let state = StateRoot::open(&global.root)?.find(&ContainerId::parse(id)?)?;
    Ok(state.is_some_and(|state| !matches!(state.load(), Ok(None))))
}

/// The profile whose values count: the one that was named, else `of`; for `privileged`, which has none, the default's.
pub(crate) fn values(global: &Global, of: ProfileName) -> Result<&'static Profile> {
    let name = match global.profile.as_deref() {
        Some(name) => ProfileName::parse(name).context("--profile")?,
        None => of,
    };
    Ok(match name {
        ProfileName::Privileged => ProfileName::DEFAULT.profile(),
        name => name.profile(),
    })
}

/// The paths of this kernel that any profile hides or closes.
pub(crate) fn kernel_paths(profile: &Profile) -> BTreeSet<String> {
    present(profile.masked_paths.iter().chain(profile.readonly_paths).copied())
}

fn of_bundle(
    global: &Global,
    dir: &Path,
    config: Option<&PathBuf>,
    standards: &[&'static Standard],
) -> Result<Report> {
    let id = casemate_runtime::bundle::container_of(dir).unwrap_or_else(|| "bundle".to_owned());
    let found = survey(global, dir, config, &id)?;
    let profile = values(global, found.profile)?;
    let paths = kernel_paths(profile);
    let asked = config::observe(&found.asked, false, &paths);
    let own_filter = found.hardened.extras().default_seccomp;
    let effective = config::observe(&found.hardened, own_filter, &paths);
    let file = config.cloned().unwrap_or_else(|| dir.join("config.json"));
    let subject = Subject {
        kind: "bundle",
        bundle: Some(dir.display().to_string()),
        config: Some(file.display().to_string()),
        ..Subject::default()
    };
    let mut decisions = Decision::list(serde_json::to_value(&found.decisions)?)?;
    for (decision, ways) in decisions.iter_mut().zip(found.ways_around()) {
        decision.allow = ways;
    }
    let material = Material {
        subject,
        profile,
        in_force: Some(found.profile),
        overrides: found.overrides,
        asked: Some(&asked),
        effective: &effective,
        recorded: None,
        decisions,
        peers: Vec::new(),
        floor: RecordedFloor::default(),
        unread: Vec::new(),
    };
    Ok(material.report(standards))
}

fn of_container(global: &Global, id: &str, standards: &[&'static Standard]) -> Result<Report> {
    let state = StateRoot::open(&global.root)?.container(&ContainerId::parse(id)?)?;
    let record = state.load()?.ok_or_else(|| anyhow!("container does not exist"))?;
    let proc = procfs::open()?;
    let status = Status::of(&record, &state, &proc)?;
    let profile = values(global, record.spec.profile())?;
    let paths = kernel_paths(profile);
    let kept = Kept::read(&state);
    let mut recorded = recorded(&record, &paths);
    recorded.hooks = Some(hooks(&record, kept.posture.as_ref()));
    let asked = asked(&record, &paths);
    let pid = record.init.map(|init| init.pid).filter(|_| status.is_alive());
    let now = pid.map(|pid| process::observe(&proc, pid, &paths)).transpose()?;
    let mut now = now.map(|now| completed(now, status, &recorded));
    if let Some(evidence) = now.as_mut().and_then(|now| now.evidence.as_mut()) {
        evidence.maker = maker(&record, status, &global.root);
    }
    let subject = Subject {
        kind: "container",
        id: Some(id.to_owned()),
        bundle: Some(record.bundle.display().to_string()),
        config: Some(record.config_file().display().to_string()),
        pid,
        status: Some(status.name().to_owned()),
        runtime: Some("casemate"),
    };
    let peers = match (pid, &record.cgroup) {
        (Some(pid), Some(cgroup)) => peers(&proc, &cgroup.path, pid),
        _ => Ok(Vec::new()),
    };
    let mut unread = kept.unread;
    let peers = told(peers, &mut unread);
    let material = Material {
        subject,
        profile,
        in_force: Some(record.spec.profile()),
        overrides: record.spec.overrides().clone(),
        asked: asked.as_ref(),
        effective: now.as_ref().unwrap_or(&recorded),
        recorded: now.is_some().then_some(&recorded),
        decisions: kept.decisions,
        peers,
        floor: RecordedFloor {
            unreadable: kept.posture.is_none(),
            compared_by: kept.posture.and_then(|posture| posture.floor),
        },
        unread,
    };
    Ok(material.report(standards))
}

/// What only the configuration knows; and a container that waits for its start has filters that are loaded last of all.
fn completed(mut now: Observation, status: Status, recorded: &Observation) -> Observation {
    now.sysctls.clone_from(&recorded.sysctls);
    now.hooks.clone_from(&recorded.hooks);
    if status == Status::Created {
        now.filters = now.filters.max(recorded.filters);
    }
    now
}

/// What the record promises.
fn recorded(record: &Record, paths: &BTreeSet<String>) -> Observation {
    let mut seen = config::observe(&record.spec, false, paths);
    seen.filters = record.seccomp.len();
    if !record.uid_mappings.is_empty() {
        seen.uid_map.clone_from(&record.uid_mappings);
        seen.namespaces.insert(NamespaceKind::User, Place::Private);
    }
    // A negative number is no limit.
    let positive = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
    let mut limits = seen.limits.unwrap_or_default();
    // `update` changes these.
    limits.pids = positive(record.limits.pids).or(limits.pids);
    limits.memory = positive(record.limits.memory.limit).filter(|bytes| *bytes > 0);
    seen.limits = record.cgroup.is_some().then_some(limits);
    if record.cgroup.is_none() {
        // Device rules are the cgroup's.
        seen.devices_listed = Some(false);
    }
    seen
}

/// The bundle may be gone, or be another one by now; then nothing is said about it: what was asked is no fact about the container.
fn asked(record: &Record, paths: &BTreeSet<String>) -> Option<Observation> {
    let bytes = casemate_runtime::files::read_capped(&record.config_file()).ok()?;
    Some(config::observe(&Spec::parse_in(&record.bundle, &bytes).ok()?, false, paths))
}

/// What the floor cannot see in the process.
fn maker(record: &Record, status: Status, root: &Path) -> Maker {
    let count = |filters: usize| u32::try_from(filters).unwrap_or(u32::MAX);
    let default = count(record.spec.extras().default_filters());
    let all = count(record.seccomp.len());
    Maker {
        privileged: record.owner == 0 && !record.rootless,
        euid: record.owner,
        // The filters of a container that waits for its start are loaded last of all.
        own_filters: (status != Status::Created).then(|| all.saturating_sub(default)),
        unmappable: record
            .uid_mappings
            .is_empty()
            .then(|| "the container was made without".to_owned()),
        places: vec![root.display().to_string()],
        data: record.spec.places_for_data(),
        program: casemate_boot::image::on_host().ok().map(|path| path.display().to_string()),
        granted: record.spec.names_for_floor(),
    }
}

/// The hooks, with the digests that were taken when the container was made, where these can be read.
fn hooks(record: &Record, posture: Option<&Posture>) -> Vec<String> {
    let one = |kind: &str, index: usize, path: &str| {
        let Some(posture) = posture else {
            return format!("{kind} {path} (digest: cannot be read)");
        };
        let digest = posture.hook_digests.get(&format!("/hooks/{kind}/{index}"));
        let digest = digest.map_or_else(String::new, |sum| format!(" sha256:{sum}"));
        format!("{kind} {path}{digest}")
    };
    let kinds = record.spec.hooks.kinds();
    let each = |(kind, list): &(&str, &[Hook])| {
        list.iter().enumerate().map(|(n, hook)| one(kind, n, &hook.path)).collect::<Vec<_>>()
    };
    kinds.iter().flat_map(each).collect()
}

fn peers(proc: &OwnedFd, cgroup: &Path, init: i32) -> Result<Vec<Peer>> {
    let pids = match Cgroup::open(cgroup).and_then(|cgroup| cgroup.procs(true)) {
        Err(error) if error.is_gone() => return Ok(Vec::new()),
        other => other?,
    };
    let others = pids.into_iter().filter(|pid| *pid != init).take(MOST_PEERS);
    let peer = |pid| match ProcessStatus::read(proc, pid) {
        Ok(status) => Ok(Some(Peer { pid, status })),
        // One that has ended in between is nobody's business.
        Err(_) if procfs::stat(proc, pid)?.is_none() => Ok(None),
        Err(error) => Err(error),
    };
    others.map(peer).filter_map(Result::transpose).collect()
}

fn told(peers: Result<Vec<Peer>>, unread: &mut Vec<Unread>) -> Vec<Peer> {
    peers.unwrap_or_else(|why| {
        unread.push(Unread::of("process.peers", &[], &format!("{why:#}")));
        Vec::new()
    })
}

fn of_process(global: &Global, pid: i32, standards: &[&'static Standard]) -> Result<Report> {
    let proc = procfs::open()?;
    if procfs::stat(&proc, pid)?.is_none() {
        bail!("there is no process {pid}");
    }
    let profile = values(global, ProfileName::DEFAULT)?;
    let now = observe::process::observe(&proc, pid, &kernel_paths(profile))?;
    let subject = Subject { kind: "process", pid: Some(pid), ..Subject::default() };
    Ok(foreign(subject, profile, &now, peers_of(&proc, pid), standards))
}

/// A container of another runtime, as the kernel has its first process.
///
/// # Errors
/// It does not run, so that there is nothing to look at; or it may not be looked at.
pub fn of_foreign(
    global: &Global,
    found: &Found,
    standards: &[&'static Standard],
) -> Result<Report> {
    let Some(pid) = found.pid else {
        return Err(hinted(
            format!("{} of {} does not run", found.id, found.runtime),
            format!("'casemate compare {}' looks at its configuration", found.id),
        ));
    };
    let mut report = of_process(global, pid, standards)?;
    report.subject = Subject {
        kind: "container",
        id: Some(found.id.clone()),
        bundle: found.bundle.as_ref().map(|bundle| bundle.display().to_string()),
        status: Some("running".to_owned()),
        runtime: Some(found.runtime),
        ..report.subject
    };
    Ok(report)
}

/// The other processes of its cgroup, if that is not the root one.
fn peers_of(proc: &OwnedFd, pid: i32) -> Result<Vec<Peer>> {
    let inner = Hierarchy::discover().and_then(|found| Ok((found.path_of(pid)?, found)));
    match inner {
        // Where only cgroups of version 1 are, nobody's processes are looked for in them.
        Err(casemate_cgroup::Error::CgroupV1Only | casemate_cgroup::Error::NotMounted) => {
            Ok(Vec::new())
        }
        Err(error) if error.is_gone() => Ok(Vec::new()),
        Ok((inner, _)) if inner == Path::new("/") => Ok(Vec::new()),
        found => {
            let (inner, hierarchy) = found?;
            peers(proc, &hierarchy.locate(&inner)?, pid)
        }
    }
}

/// The report of something that casemate did not make.
fn foreign(
    subject: Subject,
    profile: &'static Profile,
    now: &Observation,
    peers: Result<Vec<Peer>>,
    standards: &[&'static Standard],
) -> Report {
    let mut unread = Vec::new();
    let peers = told(peers, &mut unread);
    let material = Material {
        subject,
        profile,
        in_force: None,
        overrides: Overrides::default(),
        asked: None,
        effective: now,
        recorded: None,
        decisions: Vec::new(),
        peers,
        floor: RecordedFloor::default(),
        unread,
    };
    material.report(standards)
}
