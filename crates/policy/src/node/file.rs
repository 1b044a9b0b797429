//! The text of a policy file.

use super::audit::AuditPolicy;
use super::effects::{permit_list, Effects, Rule};
use super::pattern::patterns;
use super::scope::{Scope, ScopeText};
use super::text::{shallow, syntax, Places};
use crate::control::{Allow, Control, Mode};
use crate::error::PolicyError;
use crate::overrides::Values;
use crate::profile::ProfileName;
use serde::Deserialize;
use std::collections::BTreeMap;
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
