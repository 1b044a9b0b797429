//! Where ranges may lie: what the administrator gave to casemate, or a part of the id space that nobody else uses.
//!
//! /etc/subuid and /etc/subgid (subuid(5)) are where a host writes down which ids belong to whom. An entry `casemate` is
//! a gift to us. Without one, ranges come from the middle of the id space: above what useradd(8) hands out
//! (SUB_UID_MAX, 600100000) and kubelet takes (65536 for each pod from 65536 on), below what podman takes (2147483647
//! and up), and clear of every other entry in these two files.

pub(crate) use super::range::{Range, Span, SIZE};

use super::brought;
use super::hash::hash;
use super::range::Mapped;
use super::{Had, Supply};
use crate::files::io_error_text;
use crate::hinted::hinted;
use anyhow::{bail, Context as _, Result};
use rustix::fd::OwnedFd;
use std::path::Path;

/// Where the files lie.
pub(crate) const DIR: &str = "/run/casemate-ids";

/// First id of the built-in part of the id space.
const FIRST: u32 = 0x4000_0000;
/// The first one behind it: where what systemd calls container ids ends (UIDS-GIDS of systemd).
const END: u32 = 0x7000_0000;

const OWNER: &str = "casemate";

/// All ranges that there are, numbered.
#[derive(Debug, Default)]
pub(crate) struct Source {
    uid: Vec<Span>,
    gid: Vec<Span>,
    /// What belongs to others.
    taken: Vec<Span>,
}

impl Source {
    /// Read `subuid` and `subgid` of directory `etc`. `configured`: what the node's policy names in their place.
    ///
    /// # Errors
    /// A file that cannot be read; an entry for casemate that is too small, or that only one of the files has.
    pub(crate) fn read(etc: &Path, configured: Option<Span>) -> Result<Self> {
        if let Some(span) = configured {
            if span.ranges() == 0 {
                bail!(
                    "userns.range of the node's policy: {1} ids from {0} on are too few, a container needs {SIZE}",
                    span.first,
                    span.count
                );
            }
            return Ok(Self { uid: vec![span], gid: vec![span], taken: Vec::new() });
        }
        let (uid, mut taken) = entries(&etc.join("subuid"))?;
        let (gid, others) = entries(&etc.join("subgid"))?;
        taken.extend(others);
        if uid.is_empty() != gid.is_empty() {
            let (with, without) =
                if gid.is_empty() { ("subuid", "subgid") } else { ("subgid", "subuid") };
            bail!(
                "{OWNER} has an entry in {} and none in {}: it needs both",
                etc.join(with).display(),
                etc.join(without).display()
            );
        }
        if uid.is_empty() {
            let own = vec![Span { first: FIRST, count: END - FIRST }];
            return Ok(Self { uid: own.clone(), gid: own, taken });
        }
        // What was given to us is ours, whoever else it was given to.
        Ok(Self { uid, gid, taken: Vec::new() })
    }

    /// How many ranges there are, free or not.
    pub(crate) fn ranges(&self) -> u32 {
        let count = |spans: &[Span]| spans.iter().map(|span| span.ranges()).sum::<u32>();
        count(&self.uid).min(count(&self.gid))
    }

    /// Range `number`, unless it belongs to somebody else.
    pub(crate) fn range(&self, number: u32) -> Option<Range> {
        let range = Range { uid: nth(&self.uid, number)?, gid: nth(&self.gid, number)? };
        let others = self.taken.iter().any(|span| span.meets(range.uid) || span.meets(range.gid));
        (!others).then_some(range)
    }
}

impl Supply for Source {
    type Resource = Range;

    fn candidates(&self, container: &str) -> impl Iterator<Item = Range> {
        let count = self.ranges();
        let start = hash(container.as_bytes()) % u64::from(count.max(1));
        (0..count).filter_map(move |step| {
            // Below `count`, which is a u32.
            let number = (start + u64::from(step)) % u64::from(count);
            u32::try_from(number).ok().and_then(|number| self.range(number))
        })
    }

    /// Ids that configurations brought themselves.
    fn had(&self, dir: &OwnedFd, proc: Option<&OwnedFd>) -> Result<Had<Range>> {
        let brought = brought::all(dir, proc)?;
        Ok(Box::new(move |range| brought.iter().any(|ids| ids.meet(range))))
    }

    fn none_free(&self) -> anyhow::Error {
        hinted(
            format!("no range of {SIZE} ids is free, all {} are taken", self.ranges()),
            "give casemate more in /etc/subuid and /etc/subgid",
        )
    }

    fn in_use(&self, proc: &OwnedFd, suspects: &[Range]) -> Result<Vec<Range>> {
        let mapped = Mapped::by_processes(proc)?;
        let meets = |range: &&Range| {
            let of = |first: u32| [Span { first, count: SIZE }];
            mapped.meets(&of(range.uid), &of(range.gid))
        };
        Ok(suspects.iter().filter(meets).copied().collect())
    }
}

fn nth(spans: &[Span], mut number: u32) -> Option<u32> {
    for span in spans {
        if number < span.ranges() {
            return Some(span.first + number * SIZE);
        }
        number -= span.ranges();
    }
    None
}

/// Our entries, and those of others.
fn entries(path: &Path) -> Result<(Vec<Span>, Vec<Span>)> {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        other => other.map_err(|e| io_error_text(&e)).with_context(|| format!("read {shown}"))?,
    };
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut fields = line.split(':');
        let (name, first, count) = (fields.next(), fields.next(), fields.next());
        // What is no number makes the line one without a range: an error if it is ours.
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u32>().ok());
        let span = number(first).zip(number(count)).map(|(first, count)| Span { first, count });
        match (name, span) {
            (Some(OWNER), Some(span)) if span.ranges() > 0 && span.first > 0 => own.push(span),
            (Some(OWNER), _) => {
                return Err(hinted(
                    format!("{shown}: {line:?}: {OWNER} needs a range of at least {SIZE} ids"),
                    format!("{OWNER}:100000:6553600"),
                ));
            }
            (_, Some(span)) => others.push(span),
            // Other programs' lines are other programs' business.
            _ => {}
        }
    }
    Ok((own, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(subuid: &str, subgid: &str) -> Result<Source> {
        let dir = std::env::temp_dir().join(format!(
            "casemate-subid-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("subuid"), subuid).unwrap();
        std::fs::write(dir.join("subgid"), subgid).unwrap();
        let source = Source::read(&dir, None);
        std::fs::remove_dir_all(&dir).unwrap();
        source
    }

    #[test]
    fn an_entry_of_our_own_is_used_and_nothing_else() {
        let source = source("a:100000:65536\ncasemate:200000:140000\n", "casemate:300000:655360\n");
        let source = source.unwrap();
        assert_eq!(source.ranges(), 2);
        assert_eq!(source.range(0), Some(Range { uid: 200_000, gid: 300_000 }));
        assert_eq!(source.range(1), Some(Range { uid: 265_536, gid: 365_536 }));
        assert_eq!(source.range(2), None);
    }

    #[test]
    fn without_an_entry_ranges_keep_clear_of_every_other_entry() {
        let source =
            source("containers:2147483647:2147483648\nx:1073741824:1\n", "y:1073872895:2\n")
                .unwrap();
        assert_eq!(source.ranges(), (END - FIRST) / SIZE);
        assert_eq!(source.range(0), None);
        assert_eq!(source.range(1), None);
        assert_eq!(source.range(2), None);
        assert_eq!(source.range(3).unwrap().uid, FIRST + 3 * SIZE);
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_an_error_that_names_it() {
        let text = |a: &str, b: &str| format!("{:#}", source(a, b).unwrap_err());
        assert!(text("casemate:1000:100\n", "").contains("casemate:1000:100"));
        assert!(text("casemate:1000:70000\n", "").contains("none in"));
        let configured = Source::read(Path::new("/"), Some(Span { first: 1, count: 5 }));
        assert!(configured.is_err());
    }
}
