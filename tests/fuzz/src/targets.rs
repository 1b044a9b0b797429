//! The readers. What they answer is right whatever it is; that they answer is what is asked for here, and that what was read
//! can be worked with.

use casemate_cgroup::systemd;
use casemate_kernel::mountinfo;
use casemate_policy::spec::{Process, Resources, Spec};
use casemate_policy::{
    harden, harden_process, CallerLimits, HardenedSpec, HostFacts, NodePolicy, ProfileName,
};
use casemate_runtime::plan::seccomp::program;
use casemate_runtime::state::{InitRecord, Record};
use casemate_seccomp::Arch;
use serde_json::Value;
use std::hint::black_box;

/// How an input is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a document, and as bytes.
    Json,
    /// As bytes.
    Bytes,
}

/// Something that reads.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What its inputs are.
    pub form: Form,
    /// Read one; whether it was taken.
    pub read: fn(&[u8]) -> bool,
    /// So many inputs are read by `cargo test`, which does not take the time of a search.
    pub sample: u64,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "config", form: Form::Json, read: config, sample: 300 },
    Target { name: "process", form: Form::Json, read: process, sample: 2000 },
    Target { name: "resources", form: Form::Json, read: resources, sample: 2000 },
    Target { name: "seccomp", form: Form::Json, read: seccomp, sample: 100 },
    Target { name: "policy", form: Form::Bytes, read: policy, sample: 1000 },
    Target { name: "record", form: Form::Json, read: record, sample: 500 },
    Target { name: "mountinfo", form: Form::Bytes, read: mountinfo, sample: 2000 },
    Target { name: "proc", form: Form::Bytes, read: proc, sample: 4000 },
    Target { name: "audit", form: Form::Bytes, read: audit, sample: 4000 },
    Target { name: "bus", form: Form::Bytes, read: bus, sample: 10_000 },
    Target { name: "netlink", form: Form::Bytes, read: netlink, sample: 10_000 },
];

const PROFILES: [ProfileName; 4] = [
    ProfileName::Privileged,
    ProfileName::Baseline,
    ProfileName::Hardened,
    ProfileName::Restricted,
];

/// Whether it was read. An error is told in the end, so that it can be.
fn told<T, E: std::fmt::Display>(answer: Result<T, E>) -> bool {
    match answer {
        Ok(value) => {
            drop(black_box(value));
            true
        }
        Err(error) => {
            black_box(error.to_string());
            false
        }
    }
}

fn config(bytes: &[u8]) -> bool {
    let spec = match Spec::parse(bytes) {
        Ok(spec) => spec,
        other => return told(other),
    };
    for profile in PROFILES {
        let hardened = match harden(spec.clone(), profile.profile(), &HostFacts::default()) {
            Ok(hardened) => hardened,
            other => {
                told(other);
                continue;
            }
        };
        // What was let in is written into the record, and must be read back.
        let record = serde_json::to_vec(&hardened.spec).expect("a record can be written");
        let back = HardenedSpec::restore(&record);
        assert!(back.is_ok(), "what was written is not read: {:?}", back.err());
    }
    true
}

/// A container to add a process to.
fn container() -> HardenedSpec {
    let text = include_bytes!("../../fixtures/policy/plain.json");
    let spec = Spec::parse(text).expect("a good configuration");
    let facts = HostFacts::default();
    harden(spec, ProfileName::Hardened.profile(), &facts).expect("one that is let in").spec
}

fn process(bytes: &[u8]) -> bool {
    match Process::parse(bytes) {
        Ok(process) => {
            told(harden_process(process, &container(), CallerLimits::default()));
            true
        }
        other => told(other),
    }
}

fn resources(bytes: &[u8]) -> bool {
    match Resources::parse(bytes) {
        Ok(resources) => told(casemate_runtime::plan::cgroup::limits(Some(&resources))),
        other => told(other),
    }
}

/// As a part of a configuration, and compiled; and as a program that was compiled before.
fn seccomp(bytes: &[u8]) -> bool {
    told(casemate_seccomp::Program::from_bytes(bytes));
    let Ok(profile) = serde_json::from_slice::<Value>(bytes) else { return false };
    let text = include_bytes!("../../fixtures/policy/plain.json");
    let mut document: Value = serde_json::from_slice(text).expect("a good configuration");
    document["linux"]["seccomp"] = profile;
    match Spec::parse(document.to_string().as_bytes()) {
        Ok(spec) => match (&spec.linux.seccomp, Arch::native()) {
            (Some(profile), Some(native)) => told(program(profile, native)),
            _ => false,
        },
        Err(error) => told(Err::<(), _>(error)),
    }
}

fn policy(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut node = NodePolicy::default();
    let read = told(node.add("policy.toml", text));
    black_box((node.notes(), node.rules().count()));
    read
}

fn record(bytes: &[u8]) -> bool {
    let init = told(serde_json::from_slice::<InitRecord>(bytes));
    match serde_json::from_slice::<Record>(bytes) {
        Ok(record) => told(serde_json::to_vec(&record)),
        other => told(other) || init,
    }
}

fn mountinfo(bytes: &[u8]) -> bool {
    told(mountinfo::find(bytes, 36));
    told(casemate_inspect::observe::mountinfo::parse(bytes));
    let plain = mountinfo::unescape(bytes).into_owned();
    let again = mountinfo::escape(&plain).into_owned();
    assert_eq!(mountinfo::unescape(&again), plain, "an escaped path is another one");
    told(mountinfo::parse(bytes))
}

/// Lines of the kernel's log and of auditd's file, with what programs have chosen in them.
fn audit(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    black_box(casemate_kernel::audit::of_the_kernel(text));
    let mut read = false;
    for record in text.lines().filter_map(casemate_kernel::audit::Record::parse) {
        for key in ["comm", "exe", "name", "path"] {
            black_box(record.text(key));
        }
        black_box((record.number("uid"), record.get("arch"), record.denied()));
        read = true;
    }
    read
}

fn proc(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let status = told(casemate_kernel::status::parse(&text));
    let map = told(casemate_kernel::id_map::parse(&text));
    casemate_runtime::procfs::parse_stat(&text).is_some() || status || map
}

fn bus(bytes: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes) {
        black_box(systemd::parse_value(text));
    }
    systemd::read_message(bytes)
}

fn netlink(bytes: &[u8]) -> bool {
    casemate_sys::netlink::read_answer(bytes) > 0
}
