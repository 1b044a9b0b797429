//! What was denied, to whom, by which control: after the fact, from the records of the kernel and of casemate's own log.
//!
//! The kernel's records have no container ids (audit-kernel issue 90), but the containers of casemate have uids of their own, so a
//! record can be given to its container when the process has ended already. [`records`] reads, [`whose`] attributes, [`words`]
//! says which call or access it was and which control looks at it.

pub mod records;
mod whose;
mod words;

pub use records::{Reader, Taken};
pub use whose::{of_this_host, Candidate, Containers};

use anyhow::Result;
use casemate_kernel::audit::{Kind, Record};
use casemate_runtime::request::Global;
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

/// Something that a program tried and was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// When: RFC 3339, UTC. Of several the last time.
    pub time: String,
    /// How often, as far as the records say.
    pub count: u64,
    /// Who has refused it: `seccomp`, `apparmor`, `selinux` or `landlock`.
    pub source: &'static str,
    /// The container; several where the records cannot tell which of them it was.
    pub containers: Vec<Candidate>,
    /// The name of the program, as the kernel has it (at most 15 bytes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Its file, in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The process, as the host counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The user, as the host counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// What was tried, in words.
    pub tried: String,
    /// The control that looks at it.
    pub control: &'static str,
    /// Overrides that let it through: all of them, or one of them where the record does not say which part was refused.
    pub overrides: Vec<String>,
    /// Whether one of `overrides` is enough.
    pub any_override: bool,
}

/// What a record says of a process.
#[derive(Clone, Debug)]
struct Process {
    pid: Option<i32>,
    uid: Option<u32>,
    program: Option<String>,
    exe: Option<String>,
}

impl Process {
    fn of(record: &Record<'_>) -> Self {
        let text = |key| record.text(key).map(|text| text.into_owned());
        // AppArmor says by which user files are accessed.
        let uid = record.number("uid").or_else(|| record.number("fsuid"));
        Self {
            pid: record.number("pid").and_then(|pid| i32::try_from(pid).ok()),
            uid: uid.and_then(|uid| u32::try_from(uid).ok()),
            program: text("comm"),
            exe: text("exe"),
        }
    }
}

/// Makes denials of records, for what is known of the host's containers.
#[derive(Debug)]
pub struct Sorter {
    containers: Containers,
    /// Landlock's records name a domain; who is in it was said when it was made.
    domains: HashMap<String, Process>,
    /// Records of processes that are in no container that is known.
    pub of_others: u64,
}

impl Sorter {
    /// For these containers.
    #[must_use]
    pub fn new(containers: Containers) -> Self {
        Self { containers, domains: HashMap::new(), of_others: 0 }
    }

    /// The denials of lines that [`Reader::take`] has read; with `id` those of one container, or that may be of it.
    pub fn sort_lines(&mut self, lines: &[String], id: Option<&str>) -> Vec<Denial> {
        let records: Vec<Record<'_>> =
            lines.iter().filter_map(|line| Record::parse(line)).collect();
        // Who is in a domain is said behind the first access that it refuses, and who made a call behind what came of it.
        let mut callers = HashMap::new();
        for record in &records {
            match record.kind {
                Kind::LandlockDomain => self.learn(record),
                Kind::Syscall => {
                    callers.insert((record.time, record.serial), Process::of(record));
                }
                _ => {}
            }
        }
        let caller = |record: &Record<'_>| callers.get(&(record.time, record.serial)).cloned();
        let denials: Vec<Denial> =
            records.iter().filter_map(|record| self.sort(record, caller(record))).collect();
        let is_of =
            |denial: &Denial| id.is_none_or(|id| denial.containers.iter().any(|one| one.id == id));
        denials.into_iter().filter(is_of).collect()
    }

    /// Goes on with the containers that there are now, and what is known of domains.
    pub fn renew(&mut self, containers: Containers) {
        self.containers = containers;
        // They are learned again when the kernel says them again.
        if self.domains.len() > MOST {
            self.domains.clear();
        }
    }

    fn learn(&mut self, domain: &Record<'_>) {
        if let Some(name) =
            domain.get("domain").filter(|_| domain.get("status") != Some("deallocated"))
        {
            self.domains.insert(name.to_owned(), Process::of(domain));
        }
    }

    /// The denial of a record; `None`: it is none, or nobody's that is known.
    fn sort(&mut self, record: &Record<'_>, caller: Option<Process>) -> Option<Denial> {
        let said = words::of(record)?;
        let maker = record.get("domain").and_then(|domain| self.domains.get(domain));
        let Process { pid, uid, program, exe } =
            caller.or_else(|| maker.cloned()).unwrap_or_else(|| Process::of(record));
        let label = record.get("scontext").or_else(|| record.get("profile"));
        let containers = self.containers.of_process(pid, uid, label, record.time);
        if containers.is_empty() {
            self.of_others += 1;
            return None;
        }
        Some(Denial {
            time: rfc3339(record.time),
            count: 1,
            source: said.source,
            containers,
            program,
            exe,
            pid,
            uid,
            tried: said.tried,
            control: said.control,
            any_override: said.overrides.len() > 1,
            overrides: said.overrides,
        })
    }
}

/// More different denials of all containers together are not told one by one: the last are.
const MOST: usize = 2000;

/// What the same program tried several times in a container becomes one denial with the last time: a program that tries again
/// and again does not hide the others. Oldest first.
#[must_use]
pub fn together(denials: Vec<Denial>) -> Vec<Denial> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut whole: Vec<Denial> = Vec::new();
    for denial in denials {
        let Denial { source, tried, program, exe, uid, containers, .. } = &denial;
        let ids: Vec<&str> = containers.iter().map(|one| one.id.as_str()).collect();
        let key = format!("{:?}", (source, tried, program, exe, uid, ids));
        match places.get(&key) {
            Some(at) => whole[*at] = Denial { count: whole[*at].count + denial.count, ..denial },
            None => {
                places.insert(key, whole.len());
                whole.push(denial);
            }
        }
    }
    whole.sort_by(|one, other| one.time.cmp(&other.time));
    whole.split_off(whole.len().saturating_sub(MOST))
}

fn rfc3339(millis: u64) -> String {
    // A record may say any time; what is no time in our calendar is shown as the number it is.
    match UNIX_EPOCH.checked_add(Duration::from_millis(millis)) {
        Some(time) if millis < 253_402_300_800_000 => {
            humantime::format_rfc3339_millis(time).to_string()
        }
        _ => format!("{millis} ms"),
    }
}

/// What was found at once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// The container that they are of; absent: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether the kernel records what its filter refuses, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<bool>,
    /// The denials, oldest first.
    pub denials: Vec<Denial>,
    /// How many other records are of processes that belong to no container which is known.
    pub of_others: u64,
    /// Where was looked.
    pub sources: Vec<String>,
    /// What could not be looked at; a line each.
    pub problems: Vec<String>,
}

/// All denials that there are records of; with `id` those of one container.
///
/// # Errors
/// There is nothing to read that this caller may read; /proc is not there.
pub fn collect(global: &Global, id: Option<&str>) -> Result<Collected> {
    let mut reader = Reader::open()?;
    let Taken { lines, mut problems } = reader.take();
    let mut containers = of_this_host(global)?;
    problems.append(&mut containers.problems);
    let recorded = id.and_then(|id| containers.recorded(id));
    let mut sorter = Sorter::new(containers);
    let denials = together(sorter.sort_lines(&lines, id));
    let Sorter { of_others, .. } = sorter;
    let id = id.map(ToOwned::to_owned);
    Ok(Collected { id, recorded, denials, of_others, sources: reader.sources, problems })
}
