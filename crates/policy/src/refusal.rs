//! A configuration that is not run: why, and the shortest way past all that refuses it, in one line.

use crate::control::ControlId;
use crate::decision::Decision;
use crate::engine::Engine;
use crate::profile::ProfileName;
use crate::source::ALLOW_PREFIX;
use std::fmt;

/// A configuration that the profile does not run at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The profile that refuses.
    pub profile: ProfileName,
    /// The reason as a decision, with verdict [`Verdict::Refused`](crate::Verdict::Refused).
    pub decision: Box<Decision>,
    /// The override that would let it pass, if there is one.
    pub allow: Option<Remedy>,
    /// What else refuses it, each without others of its own.
    pub others: Vec<Refusal>,
    /// Overrides of what it asks for by name and does not get, though that alone refuses nothing.
    pub cut: Vec<Remedy>,
}

/// The shortest way past a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// The override's name.
    pub name: String,
    /// The node's policy lets callers ask for it by annotation.
    pub permitted: bool,
    /// Why nobody can have it; one line. `None`: the command line can.
    pub forbidden: Option<String>,
    /// The engine that made the configuration, as far as it can be told.
    pub engine: Option<Engine>,
}

impl Remedy {
    /// Where the policy is not at hand any more.
    #[must_use]
    pub fn of_anybody(name: &str) -> Self {
        Self { name: name.to_owned(), permitted: false, forbidden: None, engine: None }
    }
}

/// A command that permits annotations on this node. No quotes: logs and engines write them as
/// `\"`, which would not be safe to paste.
pub(crate) fn permitting(name: &str) -> String {
    format!("casemate policy permit {name}")
}

/// `--allow` first, for those who have a command line: Kubernetes' engines have none that leads
/// here.
impl fmt::Display for Remedy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, permitted, forbidden, engine } = self;
        if let Some(message) = forbidden {
            return out.write_str(message);
        }
        out.write_str("allow with ")?;
        if has_command_line(*engine) {
            write!(out, "--allow {name}, or ")?;
        }
        write!(out, "annotation {ALLOW_PREFIX}{name}=true")?;
        match permitted {
            true => Ok(()),
            false => write!(out, " once the node permits it: {}", permitting(name)),
        }
    }
}

fn has_command_line(engine: Option<Engine>) -> bool {
    !matches!(engine, Some(Engine::Containerd | Engine::CriO))
}

impl Refusal {
    pub(crate) fn new(
        profile: ProfileName,
        decision: Box<Decision>,
        allow: Option<Remedy>,
    ) -> Self {
        Self { profile, decision, allow, others: Vec::new(), cut: Vec::new() }
    }

    /// Itself and what else refuses the configuration.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// What it is known by beside others: the override, or the control where there is none.
    fn name(&self) -> &str {
        self.allow.as_ref().map_or(self.decision.rule.as_str(), |allow| &allow.name)
    }

    /// Every reason in full, for reports. One line.
    #[must_use]
    pub fn in_full(&self) -> String {
        let reason = |one: &Self| format!("{} (rule {})", one.decision.reason, one.decision.rule);
        let reasons: Vec<String> = self.all().map(reason).collect();
        let mut text = format!("denied by profile {}: {}", self.profile, reasons.join("; "));
        text.push_str(&self.rest());
        text
    }

    /// What is cut beside, and the way past all of it.
    fn rest(&self) -> String {
        let mut text = String::new();
        if let Some(cut) = named(self.cut.iter().map(|remedy| remedy.name.as_str())) {
            text.push_str(&format!("; {NOT_GIVEN}: {cut}"));
        }
        let stuck = self.all().filter(|one| one.allow.is_none()).map(|one| one.decision.rule);
        if let Some(stuck) = named(stuck.map(ControlId::as_str)) {
            text.push_str(&format!("; nothing allows {stuck}"));
        }
        text.push_str(&way_past(self.all().filter_map(|one| one.allow.as_ref()).chain(&self.cut)));
        text
    }
}

const NOT_GIVEN: &str = "asked for by name and not given";

/// What a configuration that is run asks for by name and does not get, with the way to it. One line.
pub(crate) fn not_given(cut: &[Remedy]) -> String {
    let names = named(cut.iter().map(|remedy| remedy.name.as_str())).unwrap_or_default();
    format!("{NOT_GIVEN}: {names}{}", way_past(cut.iter()))
}

fn way_past<'a>(remedies: impl Iterator<Item = &'a Remedy>) -> String {
    let mut text = String::new();
    let (forbidden, free): (Vec<_>, Vec<_>) =
        remedies.partition(|remedy| remedy.forbidden.is_some());
    for message in forbidden.iter().filter_map(|remedy| remedy.forbidden.as_ref()) {
        text.push_str(&format!("; {message}"));
    }
    match free.as_slice() {
        [] => {}
        [only] => text.push_str(&format!("; {only}")),
        several => text.push_str(&format!("; {}", together(several))),
    }
    text
}

/// One way past several refusals, to be pasted as a whole.
fn together(remedies: &[&Remedy]) -> String {
    let list = |unless_permitted: bool| {
        let names = remedies.iter().filter(|remedy| !(unless_permitted && remedy.permitted));
        names.map(|remedy| remedy.name.as_str()).collect::<Vec<_>>().join(",")
    };
    let mut text = "allow all with ".to_owned();
    if has_command_line(remedies.first().and_then(|remedy| remedy.engine)) {
        text.push_str(&format!("--allow {}, or ", list(false)));
    }
    text.push_str(&format!("an annotation {ALLOW_PREFIX}NAME=true for each"));
    let unpermitted = list(true);
    if !unpermitted.is_empty() {
        text.push_str(&format!(" once the node permits them: {}", permitting(&unpermitted)));
    }
    text
}

/// Names with commas, each once; `None`: there are none.
fn named<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// One line, because engines show one: what, which rule, what else, and the way past it.
impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { rule, reason, .. } = &*self.decision;
        write!(out, "denied by profile {}: {reason} (rule {rule})", self.profile)?;
        if self.others.is_empty() && self.cut.is_empty() {
            return match &self.allow {
                Some(remedy) => write!(out, "; {remedy}"),
                None => Ok(()),
            };
        }
        if let Some(others) = named(self.others.iter().map(Self::name)) {
            write!(out, "; refused as well: {others}")?;
        }
        out.write_str(&self.rest())
    }
}

impl std::error::Error for Refusal {}
