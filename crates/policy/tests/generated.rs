//! Configurations by the thousand, each judged by what does not know the controls: the floor, what was asked for, and a
//! second pass. To each that is made comes a process by `exec` and limits by `update`.
//!
//! `CASEMATE_GENERATE=200000` says how many; `CASEMATE_SEED` gives another start. A failure names the seed that repeats it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "generated/asked.rs"]
mod asked;
#[path = "../../../tests/src/generate/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "made for the live run too")]
mod generate;
#[path = "generated/host.rs"]
mod host;
#[path = "generated/later.rs"]
mod later;
#[path = "generated/plan.rs"]
mod plan;
#[path = "generated/properties.rs"]
mod properties;

use casemate_kernel::mountinfo;
use casemate_policy::floor::{self, Caller, Limit, Observed, Part, Phase};
use casemate_policy::spec::{RlimitKind, Spec};
use casemate_policy::{
    choose, harden_as, layers, CallerLimits, Choice, CommandLine, CorePattern, Hardened,
    HardenedSpec, HostFacts, NodePolicy, PlanFacts, ProfileName, Source, Subject, CONTROLS,
};
use generate::{configuration, Places, Rng};
use host::Host;
use later::Outcome;
use std::collections::BTreeMap;

/// In a run that nobody asked more of.
const FEW: u64 = 3000;

fn places() -> Places {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let kinds = ["pid", "network", "ipc", "uts", "user", "cgroup", "mount", "time"];
    let joined = |kind: &&str| {
        let name = if *kind == "network" { "net" } else { kind };
        [format!("/proc/1/ns/{name}"), format!("/run/ns/{name}")]
            .map(|path| ((*kind).to_owned(), path))
    };
    Places {
        roots: words(&[
            "/srv/bundle/rootfs",
            "/var/lib/docker/overlay2/x/merged",
            "/",
            "/usr",
            "/etc",
            "/mnt/second",
            "/srv/link-root",
            "/home/u/rootfs",
            "/run/casemate",
        ]),
        sources: words(host::SOURCES),
        devices: words(&["/dev/sda1", "/dev/sdb", "server:/x", "/etc"]),
        namespaces: kinds.iter().flat_map(joined).collect(),
        programs: words(&["/usr/bin/hook", "/tmp/x/hook", "/proc/self/exe"]),
        interfaces: words(&["eth0", "eth1"]),
        args: words(&["/bin/true"]),
        cgroup: "/a/b".to_owned(),
        heats: vec![1, 4, 12, 30, 60],
    }
}

/// A host with something of its own.
fn host_facts(rng: &mut Rng) -> HostFacts {
    let ordinary = rng.chance(15);
    let nested = rng.chance(10);
    let pattern = [CorePattern::File, CorePattern::Pipe, CorePattern::Socket][rng.below(3)];
    HostFacts {
        euid: if ordinary { 1000 } else { 0 },
        in_initial_userns: !nested,
        can_make_user_namespace: !ordinary && !nested,
        unmappable: rng.chance(4).then(|| "nfs cannot be shown with other ids".to_owned()),
        kernel: (6, 12),
        landlock_abi: [0, 6][rng.below(2)],
        cgroup_controllers: rng.some(&["cpu", "memory", "pids"], 80),
        core_pattern: pattern,
        ..HostFacts::default()
    }
}

/// What the runtime would find for this configuration.
fn facts_for(host: &Host, spec: &Spec, base: &HostFacts, rng: &mut Rng) -> HostFacts {
    let mut facts = base.clone();
    facts.mounts.bundle = "/srv/bundle".to_owned();
    facts.mounts.state_root = "/run/casemate".to_owned();
    facts.root = host.find(&spec.root.path).map(|found| host.file(&found));
    for (index, mount) in spec.mounts.iter().enumerate() {
        if mount.is_bind() {
            let recursive = mount.options.iter().rev().find(|o| *o == "bind" || *o == "rbind");
            let source = mount.source.clone().unwrap_or_default();
            let fact = host.source(&source, recursive.is_some_and(|option| option == "rbind"));
            facts.sources.insert(index, fact);
        } else if let Ok(named) = layers(mount) {
            let found =
                named.iter().map(|(role, path)| host.layer(*role, path)).collect::<Vec<_>>();
            if mount.kind.as_deref() == Some("overlay") {
                facts.layers.insert(index, found);
            }
        }
    }
    for namespace in &spec.linux.namespaces {
        if namespace.path.as_deref().is_some_and(|path| path.starts_with("/proc/1/")) {
            facts.host_namespaces.push(namespace.kind);
        }
    }
    for (kind, hooks) in spec.hooks.kinds() {
        for (index, hook) in
            hooks.iter().enumerate().filter(|(_, hook)| hook.path.starts_with("/tmp"))
        {
            let why = format!("{} can be changed by user 1000", hook.path);
            facts.hook_faults.insert(format!("/hooks/{kind}/{index}/path"), why);
        }
    }
    let given = |kind| spec.process.iter().flat_map(|p| &p.rlimits).any(|limit| limit.kind == kind);
    facts.limits = CallerLimits {
        nofile: (!given(RlimitKind::Nofile)).then_some((1024, 524_288)),
        core: (!given(RlimitKind::Core)).then_some([0, u64::MAX][rng.below(2)]),
        memlock: (!given(RlimitKind::Memlock)).then_some((8 << 20, 8 << 20)),
        oom_score_adj: spec.process.as_ref().is_none_or(|p| p.oom_score_adj.is_none()).then_some(0),
    };
    facts
}

fn observed<'t>(
    text: &'t str,
    host: &Host,
    spec: &HardenedSpec,
    facts: &HostFacts,
) -> Observed<'t> {
    let caller = Caller { privileged: facts.can_make_user_namespace, euid: facts.euid };
    let limit = |kind| {
        let own = spec.process.iter().flat_map(|p| &p.rlimits).find(|limit| limit.kind == kind);
        own.map(|limit| Limit { soft: limit.soft, hard: limit.hard })
    };
    let core = limit(RlimitKind::Core)
        .or(facts.limits.core.map(|hard| Limit { soft: hard, hard }))
        .filter(|_| spec.process.is_some());
    let score = spec.process.as_ref().and_then(|p| p.oom_score_adj).or(facts.limits.oom_score_adj);
    let namespaces = plan::namespaces(spec, facts);
    let makes_users = namespaces.get(&floor::Namespace::User) == Some(&false)
        && !spec
            .linux
            .namespaces
            .iter()
            .any(|n| n.kind == casemate_policy::spec::NamespaceKind::User && n.path.is_some());
    Observed {
        mounts: Part::of(mountinfo::parse(text.as_bytes())),
        host: Part::Seen(floor::Host { mounts: host.mounts.clone(), ..floor::Host::default() }),
        status: plan::status(spec),
        uid_map: plan::ids(spec, &spec.linux.uid_mappings),
        gid_map: plan::ids(spec, &spec.linux.gid_mappings),
        namespaces: Part::Seen(namespaces),
        filters: plan::filters(spec),
        core_limit: core.map_or(Part::NotLooked, Part::Seen),
        core_pattern: Part::Seen(match facts.core_pattern {
            CorePattern::File => "core".to_owned(),
            CorePattern::Pipe => "|/bin/handler".to_owned(),
            CorePattern::Socket => "@/run/core.sock".to_owned(),
        }),
        max_user_namespaces: match makes_users {
            true => Part::Seen(if spec.extras().no_nested_userns { 0 } else { 31337 }),
            false => Part::NotLooked,
        },
        oom_score_adj: score.map_or(Part::NotLooked, Part::Seen),
        devices_listed: Part::Seen(plan::lists_devices(spec)),
        unmappable: facts.unmappable.clone(),
        ..Observed::nothing(caller)
    }
}

/// Overrides drawn at random, and, where a configuration is refused, often the one that would let it pass: so that what
/// lies behind the first refusal is looked at too.
fn harden(
    rng: &mut Rng,
    spec: &Spec,
    profile: ProfileName,
    facts: &HostFacts,
) -> (Choice, Result<Hardened, String>) {
    let names: Vec<&str> = CONTROLS
        .iter()
        .flat_map(|control| control.allow)
        .copied()
        .filter(|name| !name.ends_with('*'))
        .collect();
    let mut choice = Choice::from(profile.profile());
    while rng.chance(25) {
        choice.overrides.grant(rng.pick(&names), &Source::CommandLine).unwrap();
    }
    let goes_on = rng.chance(70);
    for _ in 0..16 {
        match harden_as(spec.clone(), &choice, facts) {
            Ok(result) => return (choice, Ok(result)),
            Err(refusal) => match &refusal.allow {
                Some(remedy) if goes_on => {
                    choice.overrides.grant(&remedy.name, &Source::CommandLine).unwrap();
                }
                _ => return (choice, Err(refusal.decision.rule.to_string())),
            },
        }
    }
    (choice, Err("endless".to_owned()))
}

#[derive(Default)]
struct Counts {
    unread: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    /// Let in, and refused by the kernel.
    impossible: u64,
    made: u64,
    granted: u64,
    /// What came to those that were made: `exec`, `update`, and what became of it.
    later: BTreeMap<(&'static str, String), u64>,
    /// What is wrong: how often, and where first.
    faults: BTreeMap<String, (u64, String)>,
    /// Print what is looked at: for one configuration.
    shows: bool,
}

impl Counts {
    /// Counts what came to a container that runs; answers what is wrong with it.
    fn note(&mut self, command: &'static str, outcome: Outcome) -> Vec<String> {
        let (key, faults) = match outcome {
            Outcome::Unread => ("unread".to_owned(), Vec::new()),
            Outcome::Refused(control) => (control, Vec::new()),
            Outcome::Made(faults) => ("made".to_owned(), faults),
        };
        *self.later.entry((command, key)).or_default() += 1;
        faults
    }

    fn add(&mut self, other: Self) {
        let Self { unread, refused, impossible, made, granted, later, faults, shows: _ } = other;
        (self.made, self.granted) = (self.made + made, self.granted + granted);
        self.impossible += impossible;
        unread.into_iter().for_each(|(key, n)| *self.unread.entry(key).or_default() += n);
        refused.into_iter().for_each(|(key, n)| *self.refused.entry(key).or_default() += n);
        later.into_iter().for_each(|(key, n)| *self.later.entry(key).or_default() += n);
        for (what, (n, first)) in faults {
            self.faults.entry(what).or_insert((0, first)).0 += n;
        }
    }
}

fn one(host: &Host, seed: u64, counts: &mut Counts) {
    let mut rng = Rng::new(seed);
    let document = configuration(&mut rng, &places());
    let spec = match Spec::parse(document.to_string().as_bytes()) {
        Ok(spec) => spec,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "seed {seed}: {error:?}");
            let place = error.to_string().split([':', '[']).next().unwrap_or_default().to_owned();
            *counts.unread.entry(place).or_default() += 1;
            return;
        }
    };
    nobody_grants_himself(&spec, seed);
    let base = host_facts(&mut rng);
    let facts = facts_for(host, &spec, &base, &mut rng);
    // Apart from the others: what comes later changes no configuration.
    let mut after = Rng::new(!seed);
    for profile in &ProfileName::ALL[1..] {
        let (choice, outcome) = harden(&mut rng, &spec, *profile, &facts);
        let made = match outcome {
            Ok(made) => made,
            Err(control) => {
                *counts.refused.entry(control).or_default() += 1;
                continue;
            }
        };
        let mut faults = asked::beyond(&spec, &made.spec, &facts);
        let Some(text) = plan::mountinfo(host, &made.spec, &facts) else {
            counts.impossible += 1;
            continue;
        };
        counts.made += 1;
        counts.granted += u64::from(!choice.overrides.granted.is_empty());
        let seen = observed(&text, host, &made.spec, &facts);
        if counts.shows {
            println!(
                "{document}\n{}{}\n{text}",
                profile,
                serde_json::to_string(&*made.spec).unwrap()
            );
        }
        let names = made.spec.names_for_floor();
        let violations = floor::check(*profile, &names, Phase::Plan, &seen);
        faults.extend(violations.iter().map(ToString::to_string));
        faults.extend(
            planned(&made.spec, &facts)
                .into_iter()
                .map(|fault| format!("the runtime's plan: {fault}")),
        );
        let mut settled = facts_for(host, &made.spec, &base, &mut Rng::new(0));
        settled.limits = facts.limits;
        match harden_as((*made.spec).clone(), &choice, &settled) {
            Ok(twice) if *twice.spec == *made.spec => {}
            Ok(twice) if counts.shows => {
                let text = serde_json::to_string(&*twice.spec).unwrap();
                faults.push(format!("hardening again changes it: {text}"));
            }
            Ok(_) => faults.push("hardening again changes it".to_owned()),
            Err(refusal) => faults.push(format!("hardening again: {refusal}")),
        }
        faults.extend(counts.note("exec", later::process(&mut after, &made.spec, &facts)));
        faults.extend(counts.note("update", later::resources(&mut after, &made.spec, &facts)));
        let granted: Vec<_> = names.iter().cloned().collect();
        for fault in faults {
            let first = || {
                format!(
                    "seed {seed}, {profile}, euid {}{}, {granted:?}",
                    facts.euid,
                    if facts.in_initial_userns { "" } else { " nested" }
                )
            };
            counts.faults.entry(fault).or_insert_with(|| (0, first())).0 += 1;
        }
    }
}

/// The same by the plan that the runtime makes of it.
fn planned(spec: &HardenedSpec, facts: &HostFacts) -> Vec<String> {
    let plan = PlanFacts {
        host: host::TABLE,
        rootfs: facts.root.as_ref().map_or("/srv/bundle/rootfs", |root| &root.path),
        bundle: "/srv/bundle",
        sources: &facts.sources,
        host_namespaces: &facts.host_namespaces,
        caller: Caller { privileged: facts.can_make_user_namespace, euid: facts.euid },
        own_places: &[],
    };
    spec.below_floor(&plan).unwrap().iter().map(ToString::to_string).collect()
}

/// An annotation alone loosens nothing.
fn nobody_grants_himself(spec: &Spec, seed: u64) {
    let (node, line) = (NodePolicy::default(), CommandLine::default());
    if let Ok(choice) = choose(&node, &Subject::new(spec, 0), &line) {
        assert!(choice.overrides.granted.is_empty(), "seed {seed}");
        assert!(choice.profile.name >= ProfileName::DEFAULT, "seed {seed}");
    }
}

#[test]
fn every_configuration_is_refused_or_made_above_the_floor_and_no_more_than_asked_for() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let (start, count) = (number("CASEMATE_SEED", 0), number("CASEMATE_GENERATE", FEW));
    let host = Host::new();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let host = &host;
    let part = move |first: u64| {
        let mut counts = Counts { shows: count == 1, ..Counts::default() };
        for seed in (start + first..start + count).step_by(threads as usize) {
            one(host, seed, &mut counts);
        }
        counts
    };
    let mut counts = Counts::default();
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        parts.into_iter().for_each(|part| counts.add(part.join().unwrap()));
    });
    println!("{count} configurations from seed {start}, by three profiles:");
    println!(
        "made {} ({} with overrides), impossible {}",
        counts.made, counts.granted, counts.impossible
    );
    println!("unread {:?}\nrefused {:?}", counts.unread, counts.refused);
    println!("later {:?}", counts.later);
    let shown: Vec<String> =
        counts.faults.iter().map(|(what, (n, first))| format!("{n} x {what} ({first})")).collect();
    assert!(shown.is_empty(), "{} faults:\n{}", shown.len(), shown.join("\n"));
    assert!(counts.made > count / 2, "nearly all of them are refused: that shows nothing");
    for command in ["exec", "update"] {
        let made = counts.later.get(&(command, "made".to_owned())).copied().unwrap_or(0);
        assert!(made > counts.made / 4, "{command}: nearly all of them are refused");
    }
}
