//! Whom a rule of the node's policy is for.
//!
//! A rule that gives something needs to know whom it is for: annotations count only as far as the
//! engine at hand writes them itself (`engine`). To be stricter, a claim is enough.

use super::pattern::matches_glob;
use crate::engine::{claims, is_of_an_engine, Engine, Label};
use crate::error::PolicyError;
use crate::origin::Origin;
use crate::spec::Spec;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// What rules match: the container that is about to be made, and its maker.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The configuration's annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// `linux.cgroupsPath`, in whichever form.
    pub cgroups_path: Option<&'a str>,
    /// Effective uid of the caller.
    pub uid: u32,
    /// What the container is called, and where its bundle lies.
    pub origin: Origin<'a>,
    /// The configuration's hostname.
    pub hostname: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// The subject of a configuration.
    #[must_use]
    pub fn new(spec: &'a Spec, uid: u32) -> Self {
        let cgroups_path = spec.linux.cgroups_path.as_deref();
        let hostname = spec.hostname.as_deref();
        let annotations = &spec.annotations;
        Self { annotations, cgroups_path, uid, origin: Origin::default(), hostname }
    }

    /// The same, of a container that is called and lies so.
    #[must_use]
    pub fn from(self, origin: Origin<'a>) -> Self {
        Self { origin, ..self }
    }

    /// The engine that made it.
    ///
    /// # Errors
    /// As [`Engine::of`].
    pub fn engine(&self) -> Result<Option<Engine>, PolicyError> {
        Engine::of(self.annotations, self.cgroups_path, self.origin)
    }

    /// Whether the container is one step of an image's build, whose product is its root file
    /// system: buildah's (and `podman build`'s) or BuildKit's. Neither can pass an annotation. Who
    /// makes containers chooses the name and the hostname; of those who only describe them,
    /// Kubernetes' users choose the hostname, and there are always annotations then.
    pub(crate) fn is_build_step(&self) -> bool {
        let by_name = self.origin.id.starts_with("buildah-buildah");
        self.annotations.is_empty() && (by_name || self.hostname == Some("buildkitsandbox"))
    }
}

/// How far a rule is for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Not at all.
    None,
    /// By what anybody could have claimed: what it takes away counts, what it gives does not.
    Claimed,
    /// In full.
    Certain,
}

/// A rule's `match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    place: String,
    image: Vec<String>,
    namespace: Vec<String>,
    annotation: BTreeMap<String, String>,
    uid: Vec<u32>,
    cgroup_parent: Vec<String>,
}

impl Scope {
    pub(super) fn new(place: String, text: ScopeText) -> Self {
        let ScopeText { image, namespace, annotation, uid, cgroup_parent } = text;
        Self { place, image, namespace, annotation, uid, cgroup_parent }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The first key of `match.annotation` that no engine writes itself: such a rule can take away
    /// and cannot give.
    pub(super) fn anybodys_key(&self) -> Option<&str> {
        self.annotation.keys().map(String::as_str).find(|key| !is_of_an_engine(key))
    }

    /// Whether all that is given matches, and how certainly.
    pub(super) fn reach(&self, subject: &Subject<'_>, engine: Option<Engine>) -> Reach {
        let below = |parent: &String| subject.cgroups_path.is_some_and(|p| is_below(p, parent));
        let by_caller = (self.uid.is_empty() || self.uid.contains(&subject.uid))
            && (self.cgroup_parent.is_empty() || self.cgroup_parent.iter().any(below));
        let annotations = subject.annotations;
        let claimed = |list: &[String], label| {
            list.is_empty() || claims(annotations, label).any(|value| one_of(list, value))
        };
        let says = |(key, pattern): (&String, &String)| {
            annotations.get(key).is_some_and(|value| matches_glob(pattern, value))
        };
        let is_claimed = by_caller
            && claimed(&self.image, Label::Image)
            && claimed(&self.namespace, Label::Namespace)
            && self.annotation.iter().all(says);
        match (is_claimed, self.is_certain(annotations, engine)) {
            (false, _) => Reach::None,
            (true, false) => Reach::Claimed,
            (true, true) => Reach::Certain,
        }
    }

    /// Whether the engine itself says what the rule asks for.
    fn is_certain(&self, annotations: &BTreeMap<String, String>, engine: Option<Engine>) -> bool {
        let labelled = |list: &[String], label| {
            let said = || engine?.label(annotations, label);
            list.is_empty() || said().is_some_and(|value| one_of(list, value))
        };
        let written = |(key, pattern): (&String, &String)| {
            let said = engine.and_then(|engine| engine.written(annotations, key));
            said.is_some_and(|value| matches_glob(pattern, value))
        };
        labelled(&self.image, Label::Image)
            && labelled(&self.namespace, Label::Namespace)
            && self.annotation.iter().all(written)
    }
}

fn one_of(patterns: &[String], value: &str) -> bool {
    patterns.iter().any(|pattern| matches_glob(pattern, value))
}

/// `/kubepods` covers `/kubepods/x` and not `/kubepods2`; a slice covers the scopes in it
/// (`machine.slice:libpod:id`).
fn is_below(path: &str, parent: &str) -> bool {
    let parent = parent.trim_end_matches('/');
    let rest = path.strip_prefix(parent);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uids: Vec<String> = self.uid.iter().map(ToString::to_string).collect();
        let annotations: Vec<String> =
            self.annotation.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let parts = [
            ("image", &self.image),
            ("namespace", &self.namespace),
            ("annotation", &annotations),
            ("uid", &uids),
            ("cgroup-parent", &self.cgroup_parent),
        ];
        let given = parts.iter().filter(|(_, list)| !list.is_empty());
        let texts: Vec<String> =
            given.map(|(name, list)| format!("{name} {}", list.join(" or "))).collect();
        out.write_str(&texts.join(" and "))
    }
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
    pub(super) fn is_empty(&self) -> bool {
        self.image.is_empty()
            && self.namespace.is_empty()
            && self.annotation.is_empty()
            && self.uid.is_empty()
            && self.cgroup_parent.is_empty()
    }
}
