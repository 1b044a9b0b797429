//! Standards of others, item by item, as data (`profiles/standards/*.toml`), and what a container does about each.

use crate::judge::measure;
use crate::observe::Observation;
use crate::report::{ControlReport, Status};
use casemate_policy::ProfileName;
use casemate_runtime::caller::{apparmor, selinux};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// The files, by the name on the command line.
const FILES: [(&str, &str); 6] = [
    ("pss", include_str!("../../../profiles/standards/pss.toml")),
    ("cis", include_str!("../../../profiles/standards/cis.toml")),
    ("scc", include_str!("../../../profiles/standards/scc.toml")),
    ("800-190", include_str!("../../../profiles/standards/800-190.toml")),
    ("8176", include_str!("../../../profiles/standards/8176.toml")),
    ("srg", include_str!("../../../profiles/standards/srg.toml")),
];

/// One standard.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    /// Name on the command line.
    pub name: String,
    /// What it is.
    pub title: String,
    /// Its items, in its order.
    #[serde(rename = "item")]
    pub items: Vec<Item>,
}

/// One item.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its number or name there.
    pub id: String,
    /// What it asks for.
    pub title: String,
    /// What is looked at to answer; all of it must hold.
    #[serde(default)]
    pub by: Vec<String>,
    /// Whether a runtime can answer.
    #[serde(default)]
    pub how: How,
    /// Why not, or why in part.
    #[serde(default)]
    pub because: String,
    /// What the item is about, on hosts that have it; on others there is nothing to answer.
    pub only_with: Option<Module>,
}

/// A security module of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Module {
    /// AppArmor.
    AppArmor,
    /// SELinux.
    SeLinux,
}

impl Module {
    /// What to say where the running kernel does not have it.
    fn absent(self) -> Option<&'static str> {
        match self {
            Self::AppArmor if matches!(apparmor(), Ok(false)) => {
                Some("this kernel runs without AppArmor")
            }
            Self::SeLinux if matches!(selinux(), Ok(false)) => {
                Some("this kernel runs without SELinux")
            }
            // Of what cannot be read the control says so.
            _ => None,
        }
    }
}

/// Whether a runtime can decide an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Yes.
    #[default]
    Runtime,
    /// A part of it.
    Partly,
    /// No: it does not see what it is about.
    Elsewhere,
}

/// What becomes of an item in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is met, and the profile sees to it.
    Enforced,
    /// It is met because the configuration asks for it.
    ByRequest,
    /// It is not met.
    NotMet,
    /// It could not be seen.
    Unknown,
    /// It is not a runtime's to decide.
    NotARuntimes,
}

/// A standard, and what becomes of it in a container.
#[derive(Clone, Debug, Serialize)]
pub struct StandardReport {
    /// Name on the command line.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// All items.
    pub items: Vec<ItemReport>,
}

/// One item's answer.
#[derive(Clone, Debug, Serialize)]
pub struct ItemReport {
    /// Its number or name there.
    pub id: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// What becomes of it.
    pub answer: Answer,
    /// What was looked at.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub by: &'static [String],
    /// Why it is not met, not a runtime's, or only answered in part.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub because: String,
}

impl Standard {
    /// All, read once. The files are part of the binary and a test reads them, so that none can be missing.
    pub fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Standard>> = OnceLock::new();
        // A test reads each of them.
        ALL.get_or_init(|| FILES.iter().filter_map(|(_, text)| toml::from_str(text).ok()).collect())
    }

    /// The one called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|standard| standard.name == name)
    }

    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// What becomes of it in a container.
    pub fn compare(
        &'static self,
        controls: &[ControlReport],
        seen: &Observation,
        in_force: Option<ProfileName>,
    ) -> StandardReport {
        let context = Context { controls, seen, in_force };
        let items = self.items.iter().map(|item| context.answer(item)).collect();
        StandardReport { name: &self.name, title: &self.title, items }
    }
}

struct Context<'a> {
    controls: &'a [ControlReport],
    seen: &'a Observation,
    in_force: Option<ProfileName>,
}

/// One of the things that an item depends on: whether it holds, whether the profile insists, what to show.
struct Part {
    holds: Option<bool>,
    enforced: bool,
    shown: String,
}

impl Context<'_> {
    fn answer(&self, item: &'static Item) -> ItemReport {
        let report = |answer, because: String| ItemReport {
            id: &item.id,
            title: &item.title,
            answer,
            by: &item.by,
            because,
        };
        if item.how == How::Elsewhere || item.by.is_empty() {
            return report(Answer::NotARuntimes, item.because.clone());
        }
        if let Some(absent) = item.only_with.and_then(Module::absent) {
            return report(Answer::NotARuntimes, absent.to_owned());
        }
        let parts: Vec<(&String, Part)> = item.by.iter().map(|id| (id, self.part(id))).collect();
        let named = |wanted: Option<bool>| {
            let those = parts.iter().filter(|(_, part)| part.holds == wanted);
            those.map(|(id, part)| format!("{id}: {}", part.shown)).collect::<Vec<_>>().join("; ")
        };
        if parts.iter().any(|(_, part)| part.holds == Some(false)) {
            return report(Answer::NotMet, named(Some(false)));
        }
        if parts.iter().any(|(_, part)| part.holds.is_none()) {
            return report(Answer::Unknown, named(None));
        }
        let enforced = parts.iter().all(|(_, part)| part.enforced);
        let answer = if enforced { Answer::Enforced } else { Answer::ByRequest };
        report(answer, item.because.clone())
    }

    fn part(&self, id: &str) -> Part {
        if let Some(control) = self.controls.iter().find(|control| control.id == id) {
            return Part {
                holds: control.holds(),
                enforced: matches!(control.status, Status::Enforced | Status::Loosened),
                shown: control.effective.clone(),
            };
        }
        let profile = self.in_force.unwrap_or(ProfileName::DEFAULT).profile();
        match measure(id, self.seen, profile) {
            Some((judgement, enforced)) => Part {
                holds: judgement.holds,
                enforced: enforced && self.in_force.is_some(),
                shown: judgement.shown,
            },
            None => Part { holds: None, enforced: false, shown: "not looked at".to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{is_known, EXTRA};
    use crate::severity::{unmapped, weights, Weights, CONTROLS};
    use casemate_policy::Control;
    use casemate_policy::CONTROLS as TABLE;

    #[test]
    fn every_file_can_be_read_and_names_itself() {
        assert_eq!(Standard::all().len(), FILES.len());
        for (name, text) in FILES {
            let standard: Standard = toml::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(standard.name, name);
        }
        assert!(toml::from_str::<Weights>(CONTROLS).is_ok());
    }

    #[test]
    fn items_are_complete_and_unique() {
        let count = |name: &str| Standard::named(name).unwrap().items.len();
        assert_eq!(count("cis"), 32);
        assert_eq!(count("8176"), 6);
        for standard in Standard::all() {
            for (i, item) in standard.items.iter().enumerate() {
                let where_ = format!("{} {}", standard.name, item.id);
                assert!(standard.items[..i].iter().all(|other| other.id != item.id), "{where_}");
                assert_eq!(item.how != How::Runtime, !item.because.is_empty(), "{where_}");
                assert_eq!(
                    item.how == How::Elsewhere,
                    item.by.is_empty() && item.how != How::Partly,
                    "{where_}"
                );
                for id in &item.by {
                    assert!(is_known(id), "{where_}: nothing is called {id}");
                }
            }
        }
    }

    #[test]
    fn every_control_is_asked_for_by_a_standard_or_said_not_to_be_and_all_has_a_severity() {
        let asked = |id: &str| {
            Standard::all()
                .iter()
                .flat_map(|s| &s.items)
                .any(|item| item.by.iter().any(|by| by == id))
        };
        let mut wrong = Vec::new();
        for control in TABLE {
            let id = control.id.as_str();
            if weights().severity.contains_key(id) {
                wrong.push(format!("{id} has its severity in its own row, not in [severity]"));
            }
            if asked(id) == unmapped(id).is_some() {
                wrong.push(format!("{id} must be in a standard or in [unmapped], and not in both"));
            }
        }
        assert!(wrong.is_empty(), "profiles/standards: {wrong:#?}");
        for (id, _) in EXTRA {
            assert!(Control::find(id).is_none(), "{id} is a control's");
            assert!(weights().severity.contains_key(*id), "{id} has no severity");
        }
    }
}
