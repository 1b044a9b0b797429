//! Configurations by the thousand: every property of the runtime specification 1.3 for Linux, each as it usually is or as
//! an enemy would write it. One seed always gives the same configuration.
//!
//! `crates/policy/tests/generated.rs` judges them, `hack/attack --generate` runs them.

mod annotations;
mod limits;
mod linux;
mod mounts;
mod process;
mod rng;
mod words;

pub use rng::Rng;

use serde_json::{json, Map, Value};

/// What of a host the configurations name.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Root file systems; the first one is the usual.
    pub roots: Vec<String>,
    /// Sources of bind mounts and layers of overlays.
    pub sources: Vec<String>,
    /// Sources of file systems that are kept on a device or by a server.
    pub devices: Vec<String>,
    /// Namespaces that can be joined, by kind: `("network", path)`.
    pub namespaces: Vec<(String, String)>,
    /// Programs of hooks.
    pub programs: Vec<String>,
    /// Network interfaces; none: `netDevices` is left out.
    pub interfaces: Vec<String>,
    /// What the container runs.
    pub args: Vec<String>,
    /// Below which its cgroups are.
    pub cgroup: String,
    /// Of how many properties of a hundred something unusual is asked, one of these a configuration: where that is most of
    /// them, all is refused.
    pub heats: Vec<usize>,
}

/// Makes one configuration.
#[must_use]
pub fn configuration(rng: &mut Rng, places: &Places) -> Value {
    let heat = places.heats[rng.below(places.heats.len())];
    let mut maker = Maker { rng, places, heat };
    maker.document()
}

/// Makes a process that `exec` is given for a container that runs.
#[must_use]
pub fn added_process(rng: &mut Rng, places: &Places) -> Value {
    let heat = places.heats[rng.below(places.heats.len())];
    Maker { rng, places, heat }.process()
}

/// Makes resources that `update` is given for a container that runs.
#[must_use]
pub fn new_resources(rng: &mut Rng, places: &Places) -> Value {
    let heat = places.heats[rng.below(places.heats.len())];
    Maker { rng, places, heat }.resources()
}

/// A configuration that is being made.
struct Maker<'a> {
    rng: &'a mut Rng,
    places: &'a Places,
    heat: usize,
}

impl Maker<'_> {
    /// Something unusual here?
    fn odd(&mut self) -> bool {
        self.rng.chance(self.heat)
    }

    /// Some property that most configurations have.
    fn usual(&mut self) -> bool {
        self.rng.chance(100 - self.heat / 3)
    }

    fn place(&mut self) -> String {
        match self.places.sources.is_empty() {
            true => "/srv".to_owned(),
            false => self.places.sources[self.rng.below(self.places.sources.len())].clone(),
        }
    }

    fn document(&mut self) -> Value {
        let linux = self.linux();
        let has = |kind: &str| {
            linux["namespaces"]
                .as_array()
                .is_some_and(|list| list.iter().any(|entry| entry["type"] == kind))
        };
        let (has_uts, has_user) = (has("uts"), has("user"));
        let mut document = Map::new();
        let version = if self.odd() { self.rng.pick(words::VERSIONS) } else { "1.2.0" };
        document.insert("ociVersion".to_owned(), json!(version));
        document.insert("root".to_owned(), self.root());
        if self.usual() {
            document.insert("process".to_owned(), self.process());
        }
        for name in ["hostname", "domainname"] {
            if has_uts && self.odd() {
                document.insert(name.to_owned(), json!(self.rng.pick(words::NAMES)));
            }
        }
        document.insert("mounts".to_owned(), self.mounts(has_user));
        if self.odd() {
            document.insert("hooks".to_owned(), self.hooks());
        }
        document.insert("annotations".to_owned(), self.annotations());
        document.insert("linux".to_owned(), linux);
        let mut document = Value::Object(document);
        if self.odd() {
            self.unknown(&mut document);
        }
        document
    }

    fn root(&mut self) -> Value {
        let roots = &self.places.roots;
        let path = if self.odd() { &roots[self.rng.below(roots.len())] } else { &roots[0] };
        json!({ "path": path, "readonly": self.rng.chance(50) })
    }

    /// Properties that no release knows, and those of other platforms.
    fn unknown(&mut self, document: &mut Value) {
        const WHERE: &[&str] = &["", "/process", "/linux", "/root", "/linux/resources"];
        const NAMES: &[&str] =
            &["privileged", "vm", "windows", "Linux", "mounts2", "noMasks", "\n"];
        let (at, name) = (self.rng.pick(WHERE), self.rng.pick(NAMES));
        if let Some(Value::Object(map)) = document.pointer_mut(at) {
            map.entry(name).or_insert(json!({ "all": true }));
        }
    }

    fn hooks(&mut self) -> Value {
        const KINDS: [&str; 6] = [
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ];
        let mut hooks = Map::new();
        for kind in KINDS {
            if self.places.programs.is_empty() || !self.rng.chance(25) {
                continue;
            }
            let list: Vec<Value> = (0..=self.rng.below(2)).map(|_| self.hook()).collect();
            hooks.insert(kind.to_owned(), json!(list));
        }
        Value::Object(hooks)
    }

    fn hook(&mut self) -> Value {
        let programs = &self.places.programs;
        let path = &programs[self.rng.below(programs.len())];
        let mut hook = json!({ "path": path });
        if self.rng.chance(50) {
            hook["args"] = json!([path, "-c", "true"]);
        }
        if self.rng.chance(30) {
            hook["env"] = json!(self.rng.some(words::ENVIRONMENT, 20));
        }
        if self.rng.chance(40) {
            hook["timeout"] = json!(self.rng.number(&[1, 5, 3600]));
        }
        hook
    }
}
