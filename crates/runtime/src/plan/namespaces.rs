//! The container's namespaces before it exists: what clone3 makes, what is joined, what a holder makes in the
//! container's user namespace.

use crate::decide::caller::Caller;
use crate::hinted::hinted;
use crate::resolve::ids::{read_map, write_maps, IdMaps};
use crate::resolve::userns::network::{self, Writer};
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_policy::spec::{IdMapping, NamespaceKind, Spec, Sysctl as SpecSysctl};
use casemate_policy::HardenedSpec;
use casemate_sandbox::holder::{self, Holder, User};
use casemate_sandbox::plan::{Namespaces, Sysctl, TimeOffset, UserNamespace};
use casemate_sys::ns::{self, flag};
use casemate_sys::Context as _;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

/// Namespaces, ready to launch into.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// For the container's side.
    pub plan: Namespaces,
    /// How ids of the container translate for steps on the host's side of the user namespace.
    pub ids: IdMaps,
    /// The maps as the container has them, for the record and for `EnterFirst`.
    pub maps: IdMaps,
    /// A pid namespace to be joined by the parent around clone3.
    pub pid: Option<OwnedFd>,
    /// The network namespace is new.
    pub new_network: bool,
    /// The NIS domain name, whichever part of the spec has it.
    pub domainname: Option<String>,
    /// Kernel parameters that the holder has not written.
    pub sysctls: Vec<Sysctl>,
    /// Kinds that exec has to join.
    pub kinds: u64,
    /// Init does not have a pid namespace of its own.
    pub shared_pid: bool,
    /// Namespaces that are still being made.
    pub held: Option<Held>,
}

/// Namespaces that a holder makes while the plan is made.
#[derive(Debug)]
pub(crate) struct Held {
    holder: Holder,
    kinds: u64,
    stand: bool,
}

impl Held {
    /// Wait for them, and have them joined before those of the plan. The holder may be dropped from then on; later is cheaper.
    ///
    /// # Errors
    /// What went wrong in the holder; a kernel parameter that cannot be written, for instance.
    pub(crate) fn join(&self, proc: &OwnedFd, plan: &mut Namespaces) -> Result<()> {
        if !self.stand {
            self.holder.wait()?;
        }
        let kinds = [flag::NET, flag::IPC, flag::UTS];
        let join = kinds.into_iter().filter(|kind| self.kinds & kind != 0);
        let join = join.map(|kind| {
            let made = self.holder.namespace(proc, name_of(kind))?;
            is_new(kind, &made, proc)?;
            Ok((kind, made))
        });
        plan.join.splice(..0, join.collect::<Result<Vec<_>>>()?);
        self.holder.dismiss();
        Ok(())
    }
}

/// A kernel that says it has made a namespace and has not (a filter around us) has given us the host's.
fn is_new(kind: u64, made: &OwnedFd, proc: &OwnedFd) -> Result<()> {
    let made = rustix::fs::fstat(made).call(|| "fstat(namespace)")?;
    if ns::inode(proc, "self", name_of(kind))? == Some(made.st_ino) {
        bail!("linux.namespaces {}: unshare() has made none", name_of(kind));
    }
    Ok(())
}

/// The flag of a kind.
pub(crate) fn flag_of(kind: NamespaceKind) -> u64 {
    match kind {
        NamespaceKind::Pid => flag::PID,
        NamespaceKind::Network => flag::NET,
        NamespaceKind::Mount => flag::MNT,
        NamespaceKind::Ipc => flag::IPC,
        NamespaceKind::Uts => flag::UTS,
        NamespaceKind::User => flag::USER,
        NamespaceKind::Cgroup => flag::CGROUP,
        NamespaceKind::Time => flag::TIME,
    }
}

fn name_of(kind: u64) -> &'static str {
    match kind {
        flag::NET => "net",
        flag::IPC => "ipc",
        _ => "uts",
    }
}

/// The kernel parameter that has a system call of its own.
const DOMAINNAME: &str = "kernel/domainname";

/// The kinds that belong to the container's user namespace when they are new.
const HELD: u64 = flag::NET | flag::IPC | flag::UTS;

/// Open, make and sort the namespaces of `spec`. `hosts` are those paths of which the policy was told that they lead to the
/// host's; `None`: it was not asked.
pub(crate) fn prepare(
    spec: &HardenedSpec,
    caller: &Caller,
    proc: &OwnedFd,
    hosts: Option<&[NamespaceKind]>,
) -> Result<Prepared> {
    let mut new = 0;
    let mut join = Vec::new();
    for namespace in &spec.linux.namespaces {
        let kind = flag_of(namespace.kind);
        match &namespace.path {
            None => new |= kind,
            Some(path) => {
                let fd = open(namespace.kind, path)?;
                if hosts.is_some_and(|hosts| !hosts.contains(&namespace.kind)) {
                    still_not_ours(namespace.kind, &fd, path, proc)?;
                }
                join.push((kind, fd));
            }
        }
    }
    keep_own(spec, &join, proc)?;
    if !caller.privileged && !spec.linux.net_devices.is_empty() {
        bail!("linux.netDevices: moving devices of the host needs privilege (they cannot be used rootless)");
    }
    let own_pid = new & flag::PID != 0;
    let mut prepared = Prepared {
        plan: Namespaces {
            clone: 0,
            join: Vec::new(),
            new_cgroup: new & flag::CGROUP != 0,
            new_time: None,
            user: UserNamespace::Inherit,
        },
        ids: IdMaps::default(),
        maps: IdMaps { uid: spec.linux.uid_mappings.clone(), gid: spec.linux.gid_mappings.clone() },
        pid: take(&mut join, flag::PID),
        new_network: new & flag::NET != 0,
        domainname: None,
        sysctls: Vec::new(),
        kinds: spec.linux.namespaces.iter().map(|n| flag_of(n.kind)).sum(),
        shared_pid: !own_pid,
        held: None,
    };
    if new & flag::TIME != 0 {
        prepared.plan.new_time = Some(time_offsets(spec));
    }
    let user = take(&mut join, flag::USER);
    let mut sysctls = spec.sysctls()?;
    if spec.extras().no_nested_userns && new & flag::USER != 0 {
        // Behind the configuration's own, so that it cannot be lifted again.
        sysctls.push(no_nesting());
    }
    prepared.domainname = spec.domainname.clone();
    // The file is the host's root's to write, whichever namespace it is about; the system call asks the namespace.
    if let Some(at) = sysctls.iter().position(|sysctl| sysctl.path == DOMAINNAME) {
        prepared.domainname = Some(sysctls.swap_remove(at).value);
    }
    let automatic = spec.extras().auto_userns.is_some();
    if new & flag::USER != 0 || user.is_some() {
        enter_user(&mut prepared, &mut new, user, &mut sysctls, caller, proc, automatic)?;
    } else if !caller.privileged {
        return Err(hinted(
            "linux.namespaces: without privilege a container needs a user namespace",
            "casemate spec --rootless",
        ));
    }
    prepared.plan.clone |= new & !(flag::CGROUP | flag::TIME | flag::USER);
    prepared.plan.join.extend(join);
    prepared.sysctls = sysctls.into_iter().map(lower_sysctl).collect();
    if automatic {
        serve_joined_network(spec, &mut prepared)?;
    }
    Ok(prepared)
}

/// A namespace that is joined by path may be the one that we are in ourselves, the host's: then parameters and names would
/// be changed for the host (CVE-2022-0811). That a path is given says nothing; the inode does.
fn keep_own(spec: &Spec, join: &[(u64, OwnedFd)], proc: &OwnedFd) -> Result<()> {
    let sysctls = spec.sysctls()?;
    for (kind, fd) in join {
        let written = sysctls
            .iter()
            .find(|s| flag_of(s.namespace) == *kind)
            .map(|s| format!("linux.sysctl {}", s.path));
        let named = (*kind == flag::UTS && (spec.hostname.is_some() || spec.domainname.is_some()))
            .then(|| "hostname, domainname".to_owned());
        let Some(what) = written.or(named) else { continue };
        let name = if *kind == flag::USER { "user" } else { name_of(*kind) };
        let joined = rustix::fs::fstat(fd).call(|| "fstat(namespace)")?;
        if ns::inode(proc, "self", name)? == Some(joined.st_ino) {
            bail!("{what}: the {name} namespace that is joined is the host's own");
        }
    }
    Ok(())
}

/// The policy looked at what the path led to; somebody may have changed a link since.
fn still_not_ours(kind: NamespaceKind, fd: &OwnedFd, path: &str, proc: &OwnedFd) -> Result<()> {
    let own = ns::inode(proc, "self", crate::decide::facts::namespace_file(kind))?;
    let joined = rustix::fs::fstat(fd).call(|| "fstat(namespace)")?;
    if own == Some(joined.st_ino) {
        bail!("linux.namespaces {} path {path}: has become the host's own", kind.name());
    }
    Ok(())
}

/// The configuration was written for a container without a user namespace: what it says about the network namespace, and what
/// it gives capabilities for, must come out the same.
fn serve_joined_network(spec: &HardenedSpec, prepared: &mut Prepared) -> Result<()> {
    network::translate_ping(&mut prepared.sysctls, Writer::Host, &prepared.maps)?;
    let UserNamespace::EnterLast(user) = &prepared.plan.user else { return Ok(()) };
    let Some((_, net)) = prepared.plan.join.iter().find(|(kind, _)| *kind == flag::NET) else {
        return Ok(());
    };
    let inode =
        |fd: &OwnedFd| rustix::fs::fstat(fd).call(|| "fstat(namespace)").map(|st| st.st_ino);
    if inode(&ns::owner_of(net)?)? != inode(user)? {
        network::low_ports(spec, &mut prepared.sysctls);
    }
    Ok(())
}

fn take(join: &mut Vec<(u64, OwnedFd)>, kind: u64) -> Option<OwnedFd> {
    let index = join.iter().position(|(k, _)| *k == kind)?;
    Some(join.swap_remove(index).1)
}

fn lower_sysctl(sysctl: SpecSysctl) -> Sysctl {
    Sysctl { path: sysctl.path, value: sysctl.value }
}

/// user.max_user_namespaces counts below the user namespace of whoever writes it (namespaces(7)): the holder, or the
/// container's process while it is root there.
fn no_nesting() -> SpecSysctl {
    SpecSysctl {
        path: "user/max_user_namespaces".to_owned(),
        value: "0".to_owned(),
        namespace: NamespaceKind::User,
    }
}

fn time_offsets(spec: &Spec) -> Vec<TimeOffset> {
    let line =
        |(clock, offset): (&casemate_policy::spec::Clock, &casemate_policy::spec::TimeOffset)| {
            TimeOffset {
                clock: match clock {
                    casemate_policy::spec::Clock::Monotonic => "monotonic".to_owned(),
                    casemate_policy::spec::Clock::Boottime => "boottime".to_owned(),
                },
                secs: offset.secs,
                nanos: offset.nanosecs,
            }
        };
    spec.linux.time_offsets.iter().map(line).collect()
}

/// Open a namespace by path and make sure that it is one of the wanted kind.
fn open(kind: NamespaceKind, path: &str) -> Result<OwnedFd> {
    let about = || format!("linux.namespaces {} path {path}", kind.name());
    let fd =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
            .call(|| "open()")
            .with_context(about)?;
    let got = ns::kind_of(&fd).map_err(|_| anyhow!("is not a namespace")).with_context(about)?;
    if got != flag_of(kind) {
        bail!("{}: is a namespace of another kind ({})", about(), ns::names(got));
    }
    Ok(fd)
}

/// A privileged caller lets a holder make what belongs to the container's user namespace, and enters that last. Without
/// privilege everything happens inside, from the start.
fn enter_user(
    prepared: &mut Prepared,
    new: &mut u64,
    user: Option<OwnedFd>,
    sysctls: &mut Vec<SpecSysctl>,
    caller: &Caller,
    proc: &OwnedFd,
    automatic: bool,
) -> Result<()> {
    if !caller.privileged {
        if user.is_some() {
            bail!("linux.namespaces: joining a user namespace needs privilege over it");
        }
        prepared.plan.clone |= flag::USER;
        prepared.plan.user = UserNamespace::EnterFirst;
        return Ok(());
    }
    if prepared.kinds & flag::MNT == 0 {
        bail!("linux.namespaces: a user namespace needs a mount namespace beside it");
    }
    let held = *new & HELD;
    let (theirs, ours): (Vec<_>, Vec<_>) = std::mem::take(sysctls)
        .into_iter()
        .partition(|s| held & flag_of(s.namespace) != 0 || s.namespace == NamespaceKind::User);
    *sysctls = ours;
    let mut theirs: Vec<_> = theirs.into_iter().map(lower_sysctl).collect();
    if automatic {
        network::translate_ping(&mut theirs, Writer::Inside, &prepared.maps)?;
    }
    let place = match &user {
        Some(fd) => User::Joined(fd.as_fd()),
        None => User::New(prepared.maps.maker().map(|(uid, gid)| (uid.0, gid.0))),
    };
    let holder = holder::hold(held, place, proc.as_fd(), theirs)?;
    if user.is_none() {
        write_maps(proc, holder.pid(), &prepared.maps, true)?;
    }
    holder.release()?;
    let stand = user.is_some();
    if stand {
        // It is in the user namespace that it joins for certain only when it has answered.
        holder.wait()?;
    }
    if user.is_some() {
        adopt_maps(prepared, proc, holder.pid())?;
    }
    prepared.ids = prepared.maps.clone();
    *new &= !held;
    prepared.plan.user = UserNamespace::EnterLast(match user {
        Some(fd) => fd,
        None => holder.namespace(proc, "user")?,
    });
    prepared.held = Some(Held { holder, kinds: held, stand });
    Ok(())
}

/// A joined user namespace has its maps already; the spec may repeat them but not differ.
fn adopt_maps(prepared: &mut Prepared, proc: &OwnedFd, pid: i32) -> Result<()> {
    let real =
        IdMaps { uid: read_map(proc, pid, "uid_map")?, gid: read_map(proc, pid, "gid_map")? };
    let agree = |asked: &[IdMapping], real: &[IdMapping]| {
        let sorted = |list: &[IdMapping]| {
            let mut list: Vec<_> =
                list.iter().map(|m| (m.container_id, m.host_id, m.size)).collect();
            list.sort_unstable();
            list
        };
        asked.is_empty() || sorted(asked) == sorted(real)
    };
    if !agree(&prepared.maps.uid, &real.uid) || !agree(&prepared.maps.gid, &real.gid) {
        bail!("linux.uidMappings, linux.gidMappings: differ from those of the user namespace that is joined");
    }
    prepared.maps = real;
    Ok(())
}
