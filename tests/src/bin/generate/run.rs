//! One bundle: made, run, looked at, gone.

use super::{checks, places, Counts};
use casemate_tests::generate::{configuration, Places, Rng};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What all bundles share.
pub(crate) struct Setup {
    casemate: PathBuf,
    work: PathBuf,
    state: PathBuf,
    places: Places,
    mounts: usize,
    controllers: String,
}

fn mount_count() -> usize {
    std::fs::read_to_string("/proc/self/mountinfo").map_or(0, |text| text.lines().count())
}

impl Setup {
    pub(crate) fn new(casemate: PathBuf, work: PathBuf) -> Self {
        let second = work.join("second").to_string_lossy().into_owned();
        let (state, places) = (work.join("state"), places::of(&work, &second));
        let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
        let controllers = controllers.expect("a cgroup v2 hierarchy");
        Self { casemate, work, state, places, mounts: mount_count(), controllers }
    }

    /// Limits that this host's cgroups cannot have; the policy level looks at them.
    fn leave_out_limits(&self, document: &mut Value) {
        const LIMITS: [(&str, &str); 5] = [
            ("memory", "memory"),
            ("pids", "pids"),
            ("cpu", "cpu"),
            ("io", "blockIO"),
            ("rdma", "rdma"),
        ];
        let Some(limits) = document["linux"]["resources"].as_object_mut() else { return };
        for (_, name) in
            LIMITS.iter().filter(|(controller, _)| !self.controllers.contains(controller))
        {
            limits.remove(*name);
        }
        if !self.controllers.contains("memory") {
            limits.remove("unified");
            limits.remove("hugepageLimits");
        }
    }

    fn command(&self, profile: &str) -> Command {
        let mut command = Command::new(&self.casemate);
        command.arg("--root").arg(&self.state).args(["--profile", profile]);
        if profile == "restricted" {
            command.args(["--allow", "memory.unlimited,pids.unlimited,process.root,landlock.off"]);
        }
        command
    }
}

pub(crate) fn one(setup: &Setup, seed: u64, counts: &mut Counts) {
    counts.made += 1;
    let mut rng = Rng::new(seed);
    let mut document = configuration(&mut rng, &setup.places);
    let profile = ["hardened", "hardened", "hardened", "baseline", "restricted"][rng.below(5)];
    let id = format!("generate-{seed}");
    document["linux"]["cgroupsPath"] = Value::String(format!("/casemate-generate/{id}"));
    setup.leave_out_limits(&mut document);
    let bundle = setup.work.join("bundle");
    std::fs::write(bundle.join("config.json"), document.to_string()).expect("config.json");
    let mut child = setup
        .command(profile)
        .args(["run", "--bundle"])
        .arg(&bundle)
        .arg(&id)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("casemate");
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut said).unwrap_or(0);
    match serde_json::from_str::<Value>(&said) {
        Ok(said) => {
            counts.run += 1;
            look(setup, (profile, &id, seed), &said, counts);
            finish(child);
        }
        Err(_) => not_run(child, seed, counts),
    }
    let state = setup.state.join(&id);
    if state.exists() {
        counts.leftovers.push(format!("seed {seed}: {}", state.display()));
        drop(setup.command(profile).args(["delete", "--force", &id]).status());
    }
    counts
        .violations
        .extend(checks::marks().into_iter().map(|fault| format!("seed {seed}: {fault}")));
}

fn look(setup: &Setup, (profile, id, seed): (&str, &str, u64), said: &Value, counts: &mut Counts) {
    let ask = |words: &[&str]| {
        let done = setup.command(profile).args(words).output().expect("casemate");
        serde_json::from_slice::<Value>(&done.stdout).unwrap_or(Value::Null)
    };
    let pid = ask(&["state", id])["pid"].to_string();
    let audit = ask(&["audit", "--format", "json", id]);
    let faults = checks::of(profile, &pid, said, &audit);
    counts.violations.extend(faults.iter().map(|fault| format!("seed {seed}, {profile}: {fault}")));
}

fn finish(mut child: Child) {
    if let Some(mut stdin) = child.stdin.take() {
        // Who has ended already reads nothing.
        drop(stdin.write_all(b"\n"));
    }
    child.wait().expect("wait");
}

/// Who refused it: a control, the floor, or nobody.
fn not_run(mut child: Child, seed: u64, counts: &mut Counts) {
    drop(child.stdin.take());
    let mut text = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut text).unwrap_or(0);
    child.wait().expect("wait");
    let line = text.lines().last().unwrap_or("no word").to_owned();
    let message = line.split("msg=").nth(1).unwrap_or(&line).trim_matches('"').to_owned();
    if std::env::var_os("CASEMATE_SHOW").is_some() {
        println!("seed {seed}: {message}");
    }
    if let Some(rest) = message.split("below the floor: ").nth(1) {
        let what = rest.split(" (").next().unwrap_or(rest).to_owned();
        counts.floor.entry(what).or_insert((0, seed)).0 += 1;
    } else if let Some(rest) = message.split("(rule ").nth(1) {
        let rule = rest.split(')').next().unwrap_or(rest).to_owned();
        *counts.refused.entry(rule).or_default() += 1;
    } else {
        let what: String = message.chars().filter(|c| !c.is_ascii_digit()).take(110).collect();
        *counts.failed.entry(what).or_default() += 1;
    }
}

/// What all of them together have left.
pub(crate) fn leftovers(setup: &Setup, seeds: &std::ops::Range<u64>, counts: &mut Counts) {
    let mounts = mount_count();
    if mounts != setup.mounts {
        counts.leftovers.push(format!("{} mounts, {mounts} now", setup.mounts));
    }
    let cgroups = std::fs::read_dir("/sys/fs/cgroup/casemate-generate");
    for entry in cgroups.into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        // Those of another run beside this one are its own to look at.
        let name = entry.file_name().to_string_lossy().into_owned();
        let seed = name.strip_prefix("generate-").and_then(|seed| seed.parse().ok());
        if seed.is_some_and(|seed| !seeds.contains(&seed)) {
            continue;
        }
        counts.leftovers.push(format!("{}", entry.path().display()));
    }
}
