//! What the tests and the timing example share: reading `linux.seccomp` of a bundle, an engine's
//! bundle to read it from, and a small reproducible source of random numbers.

#![allow(dead_code)]

use casemate_seccomp::{Action, Arch, Arg, Filter, Flags, Op, Rule};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// The capabilities podman gives a container, by number.
pub(crate) const PODMAN_CAPS: u64 = 0x8004_05fb;

/// The filter of the bundle that podman 5.4 wrote with its default profile.
pub(crate) fn podman_filter() -> Filter<'static> {
    let path = "../../tests/fixtures/podman-default/config.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).expect("the fixture is readable");
    let config: Value = serde_json::from_str(&text).expect("the fixture is JSON");
    filter_from_json(&config["linux"]["seccomp"])
}

/// Reads the specification's `linux.seccomp`.
pub(crate) fn filter_from_json(seccomp: &Value) -> Filter<'static> {
    let mut filter = Filter::new(action(seccomp, "defaultAction", "defaultErrnoRet"));
    for name in list(&seccomp["architectures"]) {
        let arch = Arch::from_scmp_name(text(name)).expect("a known architecture");
        filter.archs.push(arch);
    }
    if let Some(names) = seccomp["flags"].as_array() {
        let names: Vec<&str> = names.iter().map(text).collect();
        filter.flags = Flags::from_names(&names).expect("known flags");
    }
    filter.rules = list(&seccomp["syscalls"]).iter().map(rule).collect();
    filter
}

fn rule(value: &Value) -> Rule<'static> {
    let names = list(&value["names"]).iter().map(|name| Cow::Owned(text(name).to_owned()));
    Rule {
        names: names.collect(),
        action: action(value, "action", "errnoRet"),
        args: list(&value["args"]).iter().map(arg).collect(),
    }
}

fn arg(value: &Value) -> Arg {
    Arg {
        index: value["index"].as_u64().expect("an index") as u32,
        value: value["value"].as_u64().expect("a value"),
        value_two: value["valueTwo"].as_u64().unwrap_or(0),
        op: Op::from_scmp_name(text(&value["op"])).expect("a known operator"),
    }
}

fn action(value: &Value, name: &str, errno: &str) -> Action {
    let errno = value[errno].as_u64().map(|errno| errno as u32);
    Action::from_scmp_name(text(&value[name]), errno).expect("a known action")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough randomness for tests, the same on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
