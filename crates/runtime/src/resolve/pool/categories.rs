//! Pairs of SELinux categories (`c1,c2`) for containers that get a label from us. Labels that engines choose are not looked at:
//! they keep their own books, and of half a million pairs two are rarely the same.

use super::entries::Resource;
use super::hash::hash;
use super::processes::{of_process, processes};
use super::{Had, Supply};
use anyhow::{anyhow, Result};
use rustix::fd::OwnedFd;

/// Where the files lie.
pub(crate) const DIR: &str = "/run/casemate-mcs";

/// Categories of the usual policies: c0 to c1023.
const CATEGORIES: u32 = 1024;
/// Pairs of two different ones.
const PAIRS: u32 = CATEGORIES * (CATEGORIES - 1) / 2;

/// Two different categories, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    first: u32,
    second: u32,
}

impl std::fmt::Display for Pair {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "c{},c{}", self.first, self.second)
    }
}

impl Resource for Pair {
    const WHAT: &'static str = "SELinux categories";

    fn numbers(self) -> (u32, u32) {
        (self.first, self.second)
    }

    fn of_numbers(first: u32, second: u32) -> Self {
        Self { first, second }
    }

    fn meets(self, other: Self) -> bool {
        self == other
    }
}

impl Pair {
    /// The pair with this number: c0,c1; c0,c2; ...
    fn nth(mut number: u32) -> Self {
        let mut first = 0;
        while number >= CATEGORIES - 1 - first {
            number -= CATEGORIES - 1 - first;
            first += 1;
        }
        Self { first, second: first + 1 + number }
    }
}

/// All pairs that there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllPairs;

impl Supply for AllPairs {
    type Resource = Pair;

    fn candidates(&self, container: &str) -> impl Iterator<Item = Pair> {
        let start = (hash(container.as_bytes()) % u64::from(PAIRS)) as u32;
        (0..PAIRS).map(move |step| Pair::nth((start + step) % PAIRS))
    }

    fn had(&self, _dir: &OwnedFd, _proc: Option<&OwnedFd>) -> Result<Had<Pair>> {
        Ok(Box::new(|_| false))
    }

    fn none_free(&self) -> anyhow::Error {
        anyhow!("all {PAIRS} pairs of SELinux categories are taken")
    }

    fn in_use(&self, proc: &OwnedFd, suspects: &[Pair]) -> Result<Vec<Pair>> {
        let ends: Vec<String> = suspects.iter().map(|pair| format!(":{pair}")).collect();
        let mut used = Vec::new();
        for pid in processes(proc)? {
            let Some(label) = of_process(proc, pid, "attr/current")? else { continue };
            let label = label.trim_end_matches(['\n', '\0']);
            let met = suspects.iter().zip(&ends).filter(|(_, end)| label.ends_with(end.as_str()));
            used.extend(met.map(|(pair, _)| *pair));
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_number() {
        let pair = |number| Pair::nth(number).numbers();
        assert_eq!((pair(0), pair(1022), pair(1023)), ((0, 1), (0, 1023), (1, 2)));
        assert_eq!(pair(PAIRS - 1), (1022, 1023));
        let mut all: Vec<_> = AllPairs.candidates("x").map(Pair::numbers).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), PAIRS as usize);
    }
}
