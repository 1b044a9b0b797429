//! Mounts: those that engines write, and all others.

use super::{words, Maker};
use serde_json::{json, Value};

/// The mounts of `runc spec` and of engines: type, place, options.
const USUAL: [(&str, &str, &[&str]); 7] = [
    ("proc", "/proc", &["nosuid", "noexec", "nodev"]),
    ("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
    ("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
    ("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
    ("cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
];

/// As in /proc/filesystems of a kernel with everything, and some that no kernel has.
const TYPES: &str = include_str!("../../fixtures/policy/filesystems.txt");

/// The types of file systems that configurations ask for.
pub(super) fn types() -> Vec<&'static str> {
    TYPES.lines().filter(|line| !line.starts_with('#')).map(str::trim).collect()
}

impl Maker<'_> {
    pub(super) fn mounts(&mut self, has_user: bool) -> Value {
        let mut mounts = Vec::new();
        for (kind, place, options) in USUAL {
            if !self.usual() {
                continue;
            }
            let mut options: Vec<String> = options.iter().map(|text| (*text).to_owned()).collect();
            if self.odd() {
                options = self.soup();
            } else if self.odd() {
                let more = self.soup();
                options.extend(more);
            }
            let kind = if kind == "cgroup" && self.rng.chance(30) { "cgroup2" } else { kind };
            mounts.push(
                json!({ "destination": place, "type": kind, "source": kind, "options": options }),
            );
        }
        for _ in 0..4 {
            if self.odd() {
                let mount = self.mount(has_user);
                mounts.push(mount);
            }
        }
        if self.rng.chance(self.heat / 4) && mounts.len() > 1 {
            let at = self.rng.below(mounts.len() - 1);
            mounts.swap(at, at + 1);
        }
        json!(mounts)
    }

    fn mount(&mut self, has_user: bool) -> Value {
        let destination = self.rng.pick(words::DESTINATIONS);
        let mut mount = match self.rng.below(10) {
            0..=4 => self.bind(),
            5 => self.overlay(),
            6 => json!({ "options": ["remount"] }),
            _ => self.file_system(),
        };
        mount["destination"] = json!(destination);
        let soup = self.soup();
        if let Some(options) = mount["options"].as_array_mut() {
            // Before or behind what it is.
            match self.rng.chance(50) {
                true => options.extend(soup.into_iter().map(Value::from)),
                false => drop(options.splice(0..0, soup.into_iter().map(Value::from))),
            }
        }
        if mount["options"].as_array().is_some_and(|o| o.iter().any(|o| o == "rbind"))
            && self.rng.chance(10)
        {
            self.map_ids(&mut mount, has_user);
        }
        mount
    }

    fn map_ids(&mut self, mount: &mut Value, has_user: bool) {
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
        match has_user && self.rng.chance(30) {
            true => {
                if let Some(options) = mount["options"].as_array_mut() {
                    options.push(json!("ridmap"));
                }
            }
            false => {
                mount["uidMappings"] = map.clone();
                mount["gidMappings"] = map;
            }
        }
    }

    fn bind(&mut self) -> Value {
        let how = self.rng.pick(&["bind", "rbind"]);
        let mut mount = json!({ "source": self.place(), "options": [how] });
        match self.rng.below(4) {
            0 => mount["type"] = json!("bind"),
            1 => mount["type"] = json!("none"),
            2 if self.odd() => mount["type"] = json!(self.kind()),
            _ => {}
        }
        mount
    }

    fn overlay(&mut self) -> Value {
        let mut options = vec![format!("lowerdir={}", self.place())];
        match self.rng.below(5) {
            0 => options[0].push_str(&format!(":{}", self.place())),
            1 => {
                options = vec![
                    format!("lowerdir+={}", self.place()),
                    format!("datadir+={}", self.place()),
                ]
            }
            2 => options.push(format!("lowerdir+={}", self.place())),
            _ => {}
        }
        if self.rng.chance(60) {
            options.push(format!("upperdir={}", self.place()));
            options.push(format!("workdir={}", self.place()));
        }
        if self.rng.chance(10) {
            options = vec![options.join(",")];
        }
        json!({ "type": "overlay", "source": "overlay", "options": options })
    }

    fn kind(&mut self) -> &'static str {
        let types = types();
        types[self.rng.below(types.len())]
    }

    fn file_system(&mut self) -> Value {
        let kind = self.kind();
        let devices = &self.places.devices;
        let source = match self.rng.chance(50) && !devices.is_empty() {
            true => devices[self.rng.below(devices.len())].clone(),
            false => kind.to_owned(),
        };
        json!({ "type": kind, "source": source, "options": [] })
    }

    /// Options in any order, contradictions too.
    fn soup(&mut self) -> Vec<String> {
        let mut soup = Vec::new();
        while self.odd() && soup.len() < 8 {
            let from = if self.rng.chance(80) { words::OPTIONS } else { words::DATA };
            soup.push(self.rng.pick(from).to_owned());
        }
        soup
    }
}
