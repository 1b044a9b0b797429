//! The audit log: one line of JSON for each thing that is done with a container, and for each refusal.
//!
//! It is written where the node's policy says so, and costs a system call where there is no policy. A record of `create`,
//! `run`, `start` and `exec` is written before the program may run, so that a log that cannot be written keeps it from
//! running where the policy, or the profile restricted, wants that. Field names are those of Falco where it has one,
//! and begin with `casemate.` where it has none; docs/operate/AUDIT.md describes them.

mod fields;
pub mod refusals;
mod sink;
mod way;

use crate::decide::bundle::Bundle;
use crate::decide::caller::Caller;
use crate::decide::policy_choice;
use crate::decide::Decided;
use crate::procfs;
use crate::report::bounded;
use crate::request::Global;
use crate::state::Container;
use crate::state::Record;
use crate::ContainerId;
use anyhow::{Context as _, Error, Result};
use casemate_policy::{AuditPolicy, ProfileName, Refusal};
use serde_json::{Map, Value};
use sink::Sinks;

fn warn(error: &Error) {
    crate::warnings::add(format!("audit log: {error:#}"));
}

/// The record of one command, on its way. Empty where nothing is to be written.
pub(crate) struct Trail(Option<Box<Inner>>);

struct Inner {
    policy: AuditPolicy,
    sinks: Result<Sinks, String>,
    profile: Option<ProfileName>,
    fields: Map<String, Value>,
}

impl Trail {
    /// Begins the record of a command that starts something.
    ///
    /// # Errors
    /// A policy that cannot be used; a log that cannot be opened although the policy requires it.
    pub(crate) fn begin(global: &Global, event: &'static str, id: &str) -> Result<Self> {
        let policy = policy_choice::audit(global, matches!(event, "create" | "run"))?;
        if !policy.is_on() {
            return Ok(Self(None));
        }
        let proc = procfs::open()?;
        let mut fields = fields::of_caller(&proc);
        fields.insert("evt.type".to_owned(), event.into());
        fields.insert("container.id".to_owned(), id.into());
        let trusted = way::Trusted::of(&Caller::probe(&proc)?)?;
        let sinks = Sinks::open(&policy, trusted).map_err(|error| format!("{error:#}"));
        let inner = Inner { policy, sinks, profile: None, fields };
        inner.check()?;
        Ok(Self(Some(Box::new(inner))))
    }

    /// Begins the record of a command that ends, or changes, something: that must work whatever the log says.
    pub(crate) fn begin_lax(global: &Global, event: &'static str, id: &str) -> Self {
        Self::begin(global, event, id).unwrap_or_else(|error| {
            warn(&error);
            Self(None)
        })
    }

    /// Whether anything is written.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Adds which bundle it is about: known before anything is decided, and all that a record of a refusal has of it.
    pub(crate) fn of_bundle(&mut self, bundle: &Bundle) {
        if let Some(inner) = &mut self.0 {
            fields::of_bundle(&mut inner.fields, bundle);
        }
    }

    /// Adds what was decided about a bundle.
    ///
    /// # Errors
    /// The log cannot be written, and the profile wants it.
    pub(crate) fn decided(&mut self, decided: &Decided) -> Result<()> {
        self.describe(decided);
        self.0.as_ref().map_or(Ok(()), |inner| inner.check())
    }

    /// The same, when it is known that the log can be written.
    pub(crate) fn describe(&mut self, decided: &Decided) {
        let Some(inner) = &mut self.0 else { return };
        inner.profile = Some(decided.spec.profile());
        fields::of_decided(&mut inner.fields, decided);
    }

    /// Adds what the record says about a container.
    ///
    /// # Errors
    /// As [`Trail::decided`].
    pub(crate) fn of_record(&mut self, record: &Record) -> Result<()> {
        let Some(inner) = &mut self.0 else { return Ok(()) };
        inner.profile = Some(record.spec.profile());
        fields::of_record(&mut inner.fields, record);
        inner.check()
    }

    /// Adds a field.
    pub(crate) fn set(&mut self, key: &str, value: impl FnOnce() -> Value) {
        if let Some(inner) = &mut self.0 {
            inner.fields.insert(key.to_owned(), value());
        }
    }

    /// Writes that it was done, or is about to be.
    ///
    /// # Errors
    /// The log cannot be written, and the policy or the profile wants it.
    pub(crate) fn allow(&mut self) -> Result<()> {
        let Some(inner) = &mut self.0 else { return Ok(()) };
        let written = inner.write("SUCCESS", None);
        inner.weigh(written)
    }

    /// Writes that it was not done. What went wrong is the caller's to tell, so this never fails.
    pub(crate) fn fail(&mut self, error: &Error) {
        let Some(inner) = &mut self.0 else { return };
        let refusal = error.chain().find_map(|link| link.downcast_ref::<Refusal>());
        if let Some(refusal) = refusal {
            inner.profile = Some(refusal.profile);
            let refused = refusal.all().map(|one| fields::refused(&one.decision)).collect();
            inner.fields.insert("casemate.profile".to_owned(), refusal.profile.as_str().into());
            inner.fields.insert("casemate.decisions".to_owned(), Value::Array(refused));
        }
        let outcome = if refusal.is_some() { "REFUSED" } else { "FAILURE" };
        let written = inner.write(outcome, Some(&bounded(format!("{error:#}"))));
        if let Err(error) = written {
            warn(&error);
        }
    }

    /// Writes how a command ended, and passes its answer on.
    pub(crate) fn finish<T>(mut self, outcome: Result<T>) -> Result<T> {
        match &outcome {
            Ok(_) => {
                if let Some(Err(error)) = self.0.as_mut().map(|inner| inner.write("SUCCESS", None))
                {
                    warn(&error);
                }
            }
            Err(error) => self.fail(error),
        }
        outcome
    }

    /// Writes what went wrong, if something did, and passes it on.
    pub(crate) fn note<T>(&mut self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| self.fail(error))
    }
}

/// Writes down a command that ends or changes a container, and how it ended.
pub(crate) fn around<T>(
    global: &Global,
    event: &'static str,
    id: &ContainerId,
    work: impl FnOnce(&mut Trail) -> Result<T>,
) -> Result<T> {
    let mut trail = Trail::begin_lax(global, event, id);
    if trail.0.is_some() {
        // Before the work: it may be what removes the record.
        // Without it the record has the id alone; why it cannot be read, the work says.
        if let Ok(container) = Container::load(global, id) {
            // What it could complain of is for those who start something.
            trail.of_record(&container.record).ok();
        }
    }
    let outcome = work(&mut trail);
    trail.finish(outcome)
}

impl Inner {
    /// Whether nothing may be started without its record.
    fn is_required(&self) -> bool {
        self.policy.required.unwrap_or(self.profile == Some(ProfileName::Restricted))
    }

    /// An unusable log ends a command that requires it before it has done anything.
    fn check(&self) -> Result<()> {
        match &self.sinks {
            Err(error) if self.is_required() => Err(Error::msg(error.clone()).context("audit log")),
            _ => Ok(()),
        }
    }

    fn weigh(&self, written: Result<()>) -> Result<()> {
        match written {
            Err(error) if self.is_required() => Err(error).context("audit log"),
            Err(error) => {
                warn(&error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn write(&mut self, outcome: &str, error: Option<&str>) -> Result<()> {
        let sinks = self.sinks.as_ref().map_err(|error| Error::msg(error.clone()))?;
        let now = humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string();
        let mut record = Map::new();
        record.insert("evt.time".to_owned(), now.into());
        record.insert("evt.source".to_owned(), "casemate".into());
        record.insert("evt.res".to_owned(), outcome.into());
        if let Some(error) = error {
            record.insert("casemate.error".to_owned(), fields::short(error).into());
        }
        record.extend(self.fields.iter().map(|(key, value)| (key.clone(), value.clone())));
        sinks.write(&record)
    }
}
