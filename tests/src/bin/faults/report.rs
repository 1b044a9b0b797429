//! All attempts, one after the other, and what they found: a line for each command and one for each fault.

use super::attempt::Lab;
use super::cases::{Case, ALL};
use super::points::{self, Point};
use super::trace::Fault;
use std::collections::BTreeMap;

/// Which attempts are made.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kill: bool,
    /// About so many of all, evenly spread; all of them if not given.
    pub(crate) sample: Option<usize>,
    /// Only this command.
    pub(crate) only: Option<String>,
    /// Only PROCESS:CALL:ERRNO, as in the lines of what was found.
    pub(crate) place: Option<String>,
}

/// Of one command.
#[derive(Debug, Default)]
struct Counts {
    calls: usize,
    struck: usize,
    missed: usize,
    survived: usize,
    bad: usize,
}

fn spelt(point: Point) -> String {
    let fault = match point.fault {
        Fault::Kill => "kill".to_owned(),
        Fault::Errno(errno) => errno.to_string(),
    };
    format!("{}:{}:{fault}", point.place.process, point.place.call)
}

/// Make the attempts; true if nothing was found.
pub(crate) fn run(lab: &Lab, plan: &Plan) -> bool {
    let mut all: Vec<(&Case, Point, u32)> = Vec::new();
    let mut table: BTreeMap<&str, Counts> = BTreeMap::new();
    let wanted = |case: &&Case| plan.only.as_ref().is_none_or(|only| only == case.name);
    for case in ALL.iter().filter(wanted) {
        let calls = match lab.calls(case) {
            Ok(calls) => calls,
            Err(why) => {
                println!("SKIPPED {}: {why}", case.name);
                continue;
            }
        };
        table.entry(case.name).or_default().calls = calls.len();
        let mut seen: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        calls.iter().for_each(|(process, number)| seen.entry(*process).or_default().push(*number));
        let number = |point: &Point| seen[&point.place.process][point.place.call];
        let points = points::of(&calls, plan.kill);
        all.extend(points.into_iter().map(|point| (case, point, number(&point))));
    }
    all.retain(|(_, point, _)| plan.place.as_ref().is_none_or(|place| *place == spelt(*point)));
    for (case, point, number) in chosen(&all, plan.sample) {
        let outcome = lab.strike(case, *point);
        let counts = table.entry(case.name).or_default();
        *if outcome.hit { &mut counts.struck } else { &mut counts.missed } += 1;
        counts.survived += usize::from(outcome.hit && outcome.succeeded);
        counts.bad += usize::from(!outcome.faults.is_empty());
        for fault in outcome.faults {
            println!("FAULT {} {} {}: {fault}", case.name, spelt(*point), points::name(*number));
        }
    }
    print(&table)
}

/// So many, evenly spread, always the same.
fn chosen<T>(all: &[T], sample: Option<usize>) -> impl Iterator<Item = &T> {
    let wanted = sample.map_or(all.len(), |sample| sample.min(all.len()));
    (0..wanted).map(move |at| &all[at * all.len() / wanted])
}

fn print(table: &BTreeMap<&str, Counts>) -> bool {
    println!("| Command | System calls | Struck | Succeeded all the same | Found fault with |");
    println!("|---|---|---|---|---|");
    let (mut struck, mut bad, mut missed) = (0, 0, 0);
    for case in ALL {
        let Some(counts) = table.get(case.name) else { continue };
        println!(
            "| {} | {} | {} | {} | {} |",
            case.name, counts.calls, counts.struck, counts.survived, counts.bad
        );
        struck += counts.struck;
        bad += counts.bad;
        missed += counts.missed;
    }
    println!("faults: {struck} struck, {missed} not reached, {bad} found fault with");
    bad == 0 && struck > 0
}
