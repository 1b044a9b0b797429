//! The text of a policy file.

use super::audit::AuditPolicy;
use super::scope::Scope;
use super::{patterns, permit_list, Effects, Rule};
use crate::control::{Allow, Control, Mode};
use crate::error::PolicyError;
use crate::overrides::Values;
use crate::profile::ProfileName;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};
use toml::Spanned;

type Text = Spanned<String>;

/// An unknown key is an error: a mistyped rule must not silently leave the node without it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Option<Text>,
    permit: Option<Vec<Text>>,
    #[serde(default)]
    forbid: Vec<Text>,
    #[serde(default)]
    allow: Vec<Text>,
    #[serde(default)]
    controls: BTreeMap<Text, Mode>,
    #[serde(default)]
    values: Values,
    audit: Option<Spanned<AuditPolicy>>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<RuleText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: Option<String>,
    #[serde(rename = "match")]
    scope: ScopeText,
    profile: Option<Text>,
    permit: Option<Vec<Text>>,
    #[serde(default)]
    forbid: Vec<Text>,
    #[serde(default)]
    allow: Vec<Text>,
    #[serde(default)]
    controls: BTreeMap<Text, Mode>,
    #[serde(default)]
    values: Values,
}

/// Whom a rule is for: all that is given has to match, of each list one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ScopeText {
    #[serde(default)]
    pub(super) image: Vec<String>,
    #[serde(default)]
    pub(super) namespace: Vec<String>,
    #[serde(default)]
    pub(super) annotation: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) uid: Vec<u32>,
    #[serde(default)]
    pub(super) cgroup_parent: Vec<String>,
}

impl ScopeText {
    fn is_empty(&self) -> bool {
        self.image.is_empty()
            && self.namespace.is_empty()
            && self.annotation.is_empty()
            && self.uid.is_empty()
            && self.cgroup_parent.is_empty()
    }
}

/// Where in which file.
struct Places<'a> {
    file: &'a str,
    text: &'a str,
}

impl Places<'_> {
    fn at(&self, offset: usize) -> String {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}", self.file)
    }

    fn of<T>(&self, value: &Spanned<T>) -> String {
        self.at(value.span().start)
    }
}

/// Reads a file: what it says about all containers, its rules, and where to write down what is
/// done.
pub(super) fn read(
    file: &str,
    text: &str,
) -> Result<(Effects, Vec<Rule>, AuditPolicy), PolicyError> {
    let places = Places { file, text };
    shallow(file, text)?;
    let content: File = toml::from_str(text).map_err(|error| syntax(file, text, &error))?;
    let everyone = effects(
        &places,
        content.profile,
        content.permit,
        (content.forbid, content.allow),
        (content.controls, content.values),
    )?;
    let rules = content.rules.into_iter().map(|rule| read_rule(&places, rule));
    let audit = match content.audit {
        None => AuditPolicy::default(),
        Some(audit) => {
            audit.get_ref().check().map_err(|error| error.at(places.of(&audit)))?;
            audit.into_inner()
        }
    };
    Ok((everyone, rules.collect::<Result<_, _>>()?, audit))
}

/// Nothing that would end the reader of TOML.
pub(super) fn shallow(file: &str, text: &str) -> Result<(), PolicyError> {
    match crate::nesting::too_many(text) {
        None => Ok(()),
        Some(at) => {
            Err(PolicyError::new("more than 4000 lists and tables")
                .at(Places { file, text }.at(at)))
        }
    }
}

/// What the reader of TOML says, with the place.
pub(super) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> PolicyError {
    let at = error.span().map_or(0, |span| span.start);
    let other = || PolicyError::new(without_types(&error.message().replace('\n', " ")));
    twice(text, at).unwrap_or_else(other).at(Places { file, text }.at(at))
}

/// Who writes a file has tables, and no types of Rust's.
fn without_types(message: &str) -> String {
    let Some((before, rest)) = message.split_once("expected struct ") else {
        return message.to_owned();
    };
    let behind = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    format!("{before}expected a table{behind}")
}

/// What is wrong where a key stands a second time: which, and where it stood first; `None`:
/// something else is wrong there.
fn twice(text: &str, at: usize) -> Option<PolicyError> {
    let (before, rest) = text.split_at_checked(at)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let earlier = before.get(..start)?;
    let line = format!("{}{}", &before[start..], rest.lines().next().unwrap_or_default());
    let line = line.trim();
    let (key, first) = if line.starts_with('[') {
        let header = line.split('#').next().unwrap_or_default().trim();
        (header.to_owned(), earlier.lines().position(|other| other.trim().starts_with(header))?)
    } else {
        first_of(earlier, line)?
    };
    let first = first + 1;
    let error = PolicyError::new(format!("{key} stands here a second time, first at line {first}"));
    Some(error.with_hint("put the two together, or use a file of its own in policy.d"))
}

/// Help for a message: what cannot be parsed has none. The key of an assignment, if the table that `earlier` ends in has it already, and on which line,
/// counted from 0.
fn first_of(earlier: &str, assignment: &str) -> Option<(String, usize)> {
    const HERE: &str = "\"where it ends\"";
    let name = |text: &str| {
        let table = DeTable::parse(text).ok()?.into_inner();
        table.keys().next().map(|key| key.get_ref().to_string())
    };
    let key = name(&format!("{} = 0", assignment.split('=').next()?.trim()))?;
    let marked = format!("{earlier}\n{HERE} = 0\n");
    let root = DeTable::parse(&marked).ok()?.into_inner();
    let mut tables = vec![&root];
    while let Some(table) = tables.pop() {
        if table.keys().any(|key| key.get_ref() == HERE.trim_matches('"')) {
            let (found, _) = table.iter().find(|(other, _)| *other.get_ref() == key)?;
            let line = earlier.get(..found.span().start)?.matches('\n').count();
            return Some((key, line));
        }
        for value in table.values() {
            match value.get_ref() {
                DeValue::Table(inner) => tables.push(inner),
                DeValue::Array(list) => {
                    tables.extend(list.iter().filter_map(|one| match one.get_ref() {
                        DeValue::Table(inner) => Some(inner),
                        _ => None,
                    }));
                }
                _ => {}
            }
        }
    }
    None
}

fn read_rule(places: &Places<'_>, text: Spanned<RuleText>) -> Result<Rule, PolicyError> {
    let mut place = places.of(&text);
    let rule = text.into_inner();
    if rule.scope.is_empty() {
        let message = "a rule needs something to match; what is for all containers stands at the top of the file";
        return Err(PolicyError::new(message).at(place));
    }
    if let Some(name) = &rule.name {
        place.push_str(&format!(" (rule {name:?})"));
    }
    let effects = effects(
        places,
        rule.profile,
        rule.permit,
        (rule.forbid, rule.allow),
        (rule.controls, rule.values),
    )?;
    Ok(Rule { scope: Scope::new(place, rule.scope), effects })
}

fn effects(
    places: &Places<'_>,
    profile: Option<Text>,
    permit: Option<Vec<Text>>,
    (forbid, allow): (Vec<Text>, Vec<Text>),
    (controls, values): (BTreeMap<Text, Mode>, Values),
) -> Result<Effects, PolicyError> {
    let named = |list: Vec<Text>| {
        let mut all = Vec::new();
        for text in list {
            let place = places.of(&text);
            all.extend(patterns(text.as_ref(), &place).map_err(|error| error.at(&place))?);
        }
        Ok(all)
    };
    let mut effects = Effects { values, ..Effects::default() };
    if let Some(text) = profile {
        let place = places.of(&text);
        let name = ProfileName::parse(text.as_ref()).map_err(|error| error.at(&place))?;
        effects.profile = Some((name, place));
    }
    let placed = |text: Text| (text.get_ref().clone(), places.of(&text));
    let permit = permit.map(|list| list.into_iter().map(placed).collect::<Vec<_>>());
    effects.permit = permit.map(|list| permit_list(&list)).transpose()?;
    effects.forbid = named(forbid)?;
    for text in allow {
        let place = places.of(&text);
        let names = Allow::parse(text.as_ref()).map_err(|error| error.at(&place))?.names;
        effects.allow.extend(names.into_iter().map(|name| (name, place.clone())));
    }
    for (text, mode) in controls {
        let control = Control::find(text.as_ref()).ok_or_else(|| {
            let message = format!("control {:?} is unknown", text.as_ref());
            PolicyError::new(message).at(places.of(&text))
        })?;
        effects.modes.insert(control.id, mode);
    }
    Ok(effects)
}
