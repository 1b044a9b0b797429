//! The systemd driver: a container's cgroup as a transient scope (or slice) that systemd makes and tracks.
//!
//! systemd makes a scope only around an existing process, while a container's init is born in its final cgroup and never
//! moved. So the caller parks a placeholder process; the scope is made around it, the scope's cgroup is
//! read from `/proc/<placeholder>/cgroup`, init is cloned into it, and the placeholder is killed. Nothing here outlives a
//! call: no thread, no connection.

mod annotation;
mod bus;
mod properties;
mod wire;

pub use annotation::{parse_annotation, parse_value};
pub use bus::{system_bus_is_roots, BusAddress, Manager};
pub use wire::{Property, Value};

use crate::controllers::Controllers;
use crate::devices::DeviceRule;
use crate::error::{Error, Result};
use crate::handle::Cgroup;
use crate::hierarchy::Hierarchy;
use crate::limits::Limits;
use crate::path::SystemdPath;
use bus::Bus;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use wire::{Call, Message, Writer};

/// For a whole conversation, jobs included.
const LIMIT: Duration = Duration::from_secs(30);
const SYSTEMD: &str = "org.freedesktop.systemd1";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
const JOB_SIGNALS: &str = "type='signal',sender='org.freedesktop.systemd1',\
    path='/org/freedesktop/systemd1',\
    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// Reads bytes as a message of the bus, and its arguments; whether they are one. For tests/fuzz.
#[doc(hidden)]
#[must_use]
pub fn read_message(bytes: &[u8]) -> bool {
    // A message that is shorter than its header is none.
    let fixed = bytes.first_chunk().and_then(wire::message_length);
    let Some(message) = fixed.and_then(|_| wire::parse(bytes)) else { return false };
    let mut body = message.body();
    let arguments = (body.u32(), body.string(), body.string_variant(), body.string());
    arguments.0.is_some() || !message.text().is_empty()
}

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct ScopeRequest<'a> {
    /// Whose systemd.
    pub manager: Manager,
    /// Slice and unit name.
    pub path: &'a SystemdPath,
    /// Shown by `systemctl status`.
    pub description: &'a str,
    /// The parked process that the scope is made around; a child of the caller, in its pid namespace.
    pub placeholder: i32,
    /// Limits to tell systemd of; the caller applies them through [`Cgroup::apply`] as well.
    pub limits: &'a Limits,
    /// Device rules to tell systemd of; `None`: nothing is said. The caller attaches them through
    /// [`Cgroup::set_devices`] as well.
    pub devices: Option<&'a [DeviceRule]>,
    /// More properties, from annotations; they come last and win.
    pub extra: &'a [Property],
}

/// A unit that was made, to be kept in the container's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Full name, e.g. `libpod-0123.scope`.
    pub name: String,
    /// Whose systemd made it.
    pub manager: Manager,
    /// How to reach it, whatever the environment of a later command says.
    pub bus: BusAddress,
}

/// A unit with its cgroup.
#[derive(Debug)]
pub struct Scope {
    /// The unit.
    pub unit: Unit,
    /// Its cgroup: clone into this.
    pub cgroup: Cgroup,
}

/// One method of systemd's manager object.
const fn manager_call<'a>(member: &'a str, signature: &'a str) -> Call<'a> {
    Call {
        destination: SYSTEMD,
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member,
        signature,
    }
}

impl Scope {
    /// Make the unit and wait until systemd reports it done, 30 s at most. A failed unit of the same name from an earlier
    /// run is reset once; a unit that exists otherwise is refused and left alone, a slice as well, because what is done to
    /// the container's cgroup is done to all that is in it. Controllers that the limits need are enabled down to the cgroup, since systemd does not
    /// know all of them.
    ///
    /// # Errors
    /// [`Error::Bus`], [`Error::Systemd`], [`Error::ControllerUnavailable`]; [`Error::NotEmpty`]
    /// and [`Error::HasChildren`] for a slice that is in use, which is left alone. What was made
    /// otherwise is stopped again.
    pub fn start(hierarchy: &Hierarchy, request: &ScopeRequest<'_>) -> Result<Self> {
        let bus = BusAddress::of(request.manager)?;
        let unit = Unit { name: request.path.unit(), manager: request.manager, bus };
        let mut session = Session::open(&unit.bus)?;
        let properties = unit_properties(request, session.version_for(request.limits)?)?;
        if request.path.is_slice() {
            session.refuse_active(&unit.name)?;
        }
        session.start_unit(&unit.name, &properties)?;
        let cgroup =
            open_cgroup(hierarchy, request, &mut session, &unit.name).inspect_err(|error| {
                // Somebody has come first after all: stopping the slice would stop what is in it.
                if matches!(error, Error::NotEmpty { .. } | Error::HasChildren { .. }) {
                    return;
                }
                // The first error is the one to report; a unit that cannot be stopped dies with its placeholder.
                session.stop_unit(&unit.name).ok();
            })?;
        Ok(Self { unit, cgroup })
    }
}

fn unit_properties(request: &ScopeRequest<'_>, version: u32) -> Result<Vec<Property>> {
    let slice = request.path.slice.clone();
    let text = |value: &str| Value::Str(value.to_owned());
    let mut list: Vec<(&str, Value)> = vec![("Description", text(request.description))];
    if request.path.is_slice() {
        list.push(("Wants", Value::Strings(vec![slice])));
    } else {
        list.push(("Slice", Value::Str(slice)));
        list.push(("Delegate", Value::Bool(true)));
        list.push(("PIDs", Value::Numbers(vec![request.placeholder.unsigned_abs()])));
    }
    for name in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] {
        list.push((name, Value::Bool(true)));
    }
    list.push(("DefaultDependencies", Value::Bool(false)));
    let mut list: Vec<Property> = list.into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
    list.extend(properties::of_limits(request.limits, version)?);
    list.extend(request.devices.map(properties::of_devices).unwrap_or_default());
    list.extend(request.extra.iter().cloned());
    Ok(list)
}

fn open_cgroup(
    hierarchy: &Hierarchy,
    request: &ScopeRequest<'_>,
    session: &mut Session,
    unit: &str,
) -> Result<Cgroup> {
    let inner = if request.path.is_slice() {
        PathBuf::from(session.slice_cgroup(unit)?)
    } else {
        hierarchy.path_of(request.placeholder)?
    };
    if !inner.ends_with(unit) {
        return Err(Error::Systemd {
            call: "StartTransientUnit".to_owned(),
            unit: unit.to_owned(),
            name: "unexpected cgroup".to_owned(),
            message: format!("the placeholder process is in {}", inner.display()),
        });
    }
    let cgroup = Cgroup::open(&hierarchy.locate(&inner)?)?;
    if request.path.is_slice() {
        cgroup.refuse_in_use()?;
    }
    let needed: Controllers = request.limits.needed_controllers();
    cgroup.enable_controllers(hierarchy, &needed, &[])?;
    Ok(cgroup)
}

impl Unit {
    /// Tell systemd of changed limits (`SetUnitProperties`, until the unit ends). The caller applies them through
    /// [`Cgroup::apply`] as well.
    ///
    /// # Errors
    /// [`Error::Bus`]; [`Error::Systemd`] when the unit is gone or a property is refused;
    /// [`Error::BadLimit`] for an impossible swap limit.
    pub fn set_limits(&self, limits: &Limits) -> Result<()> {
        let mut session = Session::open(&self.bus)?;
        let version = session.version_for(limits)?;
        session.set_properties(&self.name, &properties::of_limits(limits, version)?)
    }

    /// Have systemd move processes of the caller into the unit (`AttachProcessesToUnit`, version 238), or into the cgroup
    /// `below` the unit's: absolute from there, `""` for the unit's own.
    ///
    /// For the one case in which a process cannot be born there: clone3 into, or a move to, a cgroup is refused (EACCES)
    /// to an ordinary user whose own cgroup lies outside what systemd has delegated to him, as in a login session.
    ///
    /// # Errors
    /// [`Error::Bus`]; [`Error::Systemd`] when the unit is gone, systemd is too old, or it refuses
    /// the processes.
    pub fn attach(&self, below: &str, processes: &[i32]) -> Result<()> {
        let mut session = Session::open(&self.bus)?;
        let mut body = Writer::default();
        body.string(&self.name);
        body.string(below);
        body.numbers(&processes.iter().map(|pid| pid.unsigned_abs()).collect::<Vec<_>>());
        session.call(&manager_call("AttachProcessesToUnit", "ssau"), &self.name, body).map(drop)
    }

    /// Stop the unit, which kills what runs in it, wait for that, and forget that it failed, if it did. A unit that is
    /// gone already is no error.
    ///
    /// # Errors
    /// [`Error::Bus`], also when it takes longer than 30 s; [`Error::Systemd`] when the job fails
    /// or the caller may not stop it.
    pub fn stop(&self) -> Result<()> {
        Session::open(&self.bus)?.stop_unit(&self.name)
    }
}

/// The uid that systemd runs as, as the bus sees it: 0 for the system's.
///
/// # Errors
/// [`Error::Bus`]: the bus cannot be reached, or systemd is not on it.
pub fn manager_uid(address: &BusAddress) -> Result<u32> {
    Bus::connect(address, LIMIT)?.uid_of(SYSTEMD)
}

/// One conversation with systemd.
#[derive(Debug)]
struct Session {
    bus: Bus,
}

impl Session {
    fn open(address: &BusAddress) -> Result<Self> {
        Ok(Self { bus: Bus::connect(address, LIMIT)? })
    }

    /// Call a method; an error answer becomes an error.
    fn call(&mut self, call: &Call<'_>, unit: &str, body: Writer) -> Result<Message> {
        let answer = self.bus.call(call, body)?;
        if answer.kind != Message::ERROR {
            return Ok(answer);
        }
        Err(Error::Systemd {
            call: call.member.to_owned(),
            unit: unit.to_owned(),
            name: answer.error_name.clone(),
            message: answer.text(),
        })
    }

    /// systemd's version, asked for only when a property depends on it.
    fn version_for(&mut self, limits: &Limits) -> Result<u32> {
        if limits.is_empty() {
            return Ok(0);
        }
        let text = self.property("/org/freedesktop/systemd1", "Manager", "Version")?;
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        // Unreadable: as if old, so that only properties known forever are set.
        Ok(digits[..end].parse().unwrap_or(0))
    }

    /// A string property of one of systemd's objects.
    fn property(&mut self, path: &str, interface: &str, name: &str) -> Result<String> {
        let mut body = Writer::default();
        body.string(&format!("{SYSTEMD}.{interface}"));
        body.string(name);
        let call = Call {
            destination: SYSTEMD,
            path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            signature: "ss",
        };
        let answer = self.call(&call, name, body)?;
        answer.body().string_variant().ok_or_else(|| unexpected_answer("Get", name))
    }

    fn slice_cgroup(&mut self, unit: &str) -> Result<String> {
        let path = self.object_of(unit)?;
        self.property(&path, "Slice", "ControlGroup")
    }

    /// The object of a loaded unit.
    fn object_of(&mut self, unit: &str) -> Result<String> {
        let mut body = Writer::default();
        body.string(unit);
        let answer = self.call(&manager_call("GetUnit", "s"), unit, body)?;
        answer.body().string().ok_or_else(|| unexpected_answer("GetUnit", unit))
    }

    /// StartTransientUnit refuses units that exist, but not a slice without a file of its own, which systemd has made
    /// because a service names it: to that one it gives the container's limits.
    fn refuse_active(&mut self, unit: &str) -> Result<()> {
        let object = self.object_of(unit);
        if is_error(&object, NO_SUCH_UNIT) {
            return Ok(());
        }
        let state = self.property(&object?, "Unit", "ActiveState")?;
        if matches!(state.as_str(), "inactive" | "failed") {
            return Ok(());
        }
        Err(Error::Systemd {
            call: "StartTransientUnit".to_owned(),
            unit: unit.to_owned(),
            name: UNIT_EXISTS.to_owned(),
            message: format!("the slice is {state} and not the container's alone"),
        })
    }

    fn start_unit(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        self.bus.add_match(JOB_SIGNALS)?;
        let result = self.try_start(unit, properties);
        if !is_error(&result, UNIT_EXISTS) {
            return result;
        }
        // Left over and failed: reset it and try once more. A unit that is alive refuses a second time.
        self.reset_failed(unit).ok();
        self.try_start(unit, properties)
    }

    fn try_start(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let mut body = Writer::default();
        body.string(unit);
        body.string("replace");
        body.properties(properties);
        body.no_auxiliary_units();
        let call = manager_call("StartTransientUnit", "ssa(sv)a(sa(sv))");
        self.job(&call, unit, body)
    }

    fn stop_unit(&mut self, unit: &str) -> Result<()> {
        self.bus.add_match(JOB_SIGNALS)?;
        let mut body = Writer::default();
        body.string(unit);
        body.string("replace");
        let result = self.job(&manager_call("StopUnit", "ss"), unit, body);
        // Either it is not loaded, which is what we want, or it has not failed and has nothing to forget.
        self.reset_failed(unit).ok();
        if is_error(&result, NO_SUCH_UNIT) {
            return Ok(());
        }
        result
    }

    fn reset_failed(&mut self, unit: &str) -> Result<()> {
        let mut body = Writer::default();
        body.string(unit);
        self.call(&manager_call("ResetFailedUnit", "s"), unit, body).map(drop)
    }

    fn set_properties(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        let mut body = Writer::default();
        body.string(unit);
        body.bool(true);
        body.properties(properties);
        self.call(&manager_call("SetUnitProperties", "sba(sv)"), unit, body).map(drop)
    }

    /// Call a method that starts a job, and wait for the job's end.
    fn job(&mut self, call: &Call<'_>, unit: &str, body: Writer) -> Result<()> {
        let answer = self.call(call, unit, body)?;
        let job = answer.body().string().ok_or_else(|| unexpected_answer(call.member, unit))?;
        loop {
            let signal = self.bus.wait_signal("JobRemoved")?;
            let mut body = signal.body();
            let (_, path, _, result) = (body.u32(), body.string(), body.string(), body.string());
            if path.as_ref() != Some(&job) {
                continue;
            }
            return match result.as_deref() {
                Some("done") => Ok(()),
                other => Err(Error::Systemd {
                    call: call.member.to_owned(),
                    unit: unit.to_owned(),
                    name: "job result".to_owned(),
                    message: other.unwrap_or("unreadable").to_owned(),
                }),
            };
        }
    }
}

fn is_error<T>(result: &Result<T>, wanted: &str) -> bool {
    matches!(result, Err(Error::Systemd { name, .. }) if name == wanted)
}

fn unexpected_answer(call: &str, unit: &str) -> Error {
    Error::Systemd {
        call: call.to_owned(),
        unit: unit.to_owned(),
        name: "unexpected answer".to_owned(),
        message: "the types are not the documented ones".to_owned(),
    }
}
