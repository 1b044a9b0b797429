//! Filling [`Stats`] from the files of a cgroup.

use super::*;
use crate::error::{Error, Result};
use crate::files::{keyed, Dir};
use crate::handle::Cgroup;

const MICROSECOND: u64 = 1000;

impl Cgroup {
    /// What this cgroup and everything below it use.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is there and cannot be read, [`Error::BadContent`] for one
    /// that should be a number; a missing controller is none.
    pub fn stats(&self) -> Result<Stats> {
        let dir = self.dir();
        Ok(Stats {
            cpu: cpu(&dir)?,
            cpuset: cpuset(&dir)?,
            memory: memory(&dir)?,
            pids: pids(&dir)?,
            blkio: blkio(&dir)?,
            hugetlb: hugetlb(&dir)?,
            ..Stats::default()
        })
    }
}

fn text(dir: &Dir<'_>, file: &str) -> Result<String> {
    Ok(dir.read_optional(file)?.unwrap_or_default())
}

/// A file with one number; `max` is the largest one, a missing file 0.
fn single(dir: &Dir<'_>, file: &str) -> Result<u64> {
    let text = text(dir, file)?;
    match text.trim() {
        "max" => Ok(u64::MAX),
        "" => Ok(0),
        number => number
            .parse()
            .map_err(|_| Error::BadContent { path: dir.path.join(file), found: text.clone() }),
    }
}

fn cpu(dir: &Dir<'_>) -> Result<CpuStats> {
    let stat = text(dir, "cpu.stat")?;
    let get = |key| keyed(&stat, key).unwrap_or(0);
    Ok(CpuStats {
        usage: CpuUsage {
            total: get("usage_usec") * MICROSECOND,
            kernel: get("system_usec") * MICROSECOND,
            user: get("user_usec") * MICROSECOND,
            ..CpuUsage::default()
        },
        throttling: Throttling {
            periods: get("nr_periods"),
            throttled_periods: get("nr_throttled"),
            throttled_time: get("throttled_usec") * MICROSECOND,
        },
        psi: psi(dir, "cpu.pressure")?,
    })
}

fn cpuset(dir: &Dir<'_>) -> Result<CpusetStats> {
    Ok(CpusetStats {
        cpus: list(&text(dir, "cpuset.cpus.effective")?),
        mems: list(&text(dir, "cpuset.mems.effective")?),
        ..CpusetStats::default()
    })
}

/// The numbers of a list such as `0-2,7`. As in all files with several entries, one that is not understood is left out: these
/// numbers are shown, and nothing is decided by them.
fn list(text: &str) -> Vec<u16> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

fn memory(dir: &Dir<'_>) -> Result<MemoryStats> {
    let stat = text(dir, "memory.stat")?;
    let raw: BTreeMap<String, u64> = stat.lines().filter_map(key_and_number).collect();
    let events = text(dir, "memory.events")?;
    let usage = MemoryEntry {
        limit: single(dir, "memory.max")?,
        usage: single(dir, "memory.current")?,
        max: single(dir, "memory.peak")?,
        failcnt: keyed(&events, "max").unwrap_or(0),
    };
    Ok(MemoryStats {
        cache: raw.get("file").copied().unwrap_or(0),
        swap: with_swap(dir, &usage)?,
        usage,
        raw,
        psi: psi(dir, "memory.pressure")?,
        ..MemoryStats::default()
    })
}

/// Memory plus swap: callers know this entry from cgroup v1, where it includes memory.
fn with_swap(dir: &Dir<'_>, memory: &MemoryEntry) -> Result<MemoryEntry> {
    Ok(MemoryEntry {
        limit: memory.limit.saturating_add(single(dir, "memory.swap.max")?),
        usage: memory.usage.saturating_add(single(dir, "memory.swap.current")?),
        max: 0,
        failcnt: 0,
    })
}

/// A line that is none is left out, see [`list`].
fn key_and_number(line: &str) -> Option<(String, u64)> {
    let (key, value) = line.split_once(' ')?;
    Some((key.to_owned(), value.trim().parse().ok()?))
}

fn pids(dir: &Dir<'_>) -> Result<PidsStats> {
    let limit = single(dir, "pids.max")?;
    Ok(PidsStats {
        current: single(dir, "pids.current")?,
        limit: if limit == u64::MAX { 0 } else { limit },
    })
}

fn blkio(dir: &Dir<'_>) -> Result<BlkioStats> {
    let mut blkio = BlkioStats { psi: psi(dir, "io.pressure")?, ..BlkioStats::default() };
    for line in text(dir, "io.stat")?.lines() {
        add_device(&mut blkio, line);
    }
    Ok(blkio)
}

/// One line of io.stat: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn add_device(blkio: &mut BlkioStats, line: &str) {
    let mut words = line.split_whitespace();
    let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else {
        return;
    };
    let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else {
        return;
    };
    for (key, value) in words.filter_map(|word| word.split_once('=')) {
        let (list, op) = match key {
            "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
            "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
            "dbytes" => (&mut blkio.io_service_bytes_recursive, "Discard"),
            "rios" => (&mut blkio.io_serviced_recursive, "Read"),
            "wios" => (&mut blkio.io_serviced_recursive, "Write"),
            "dios" => (&mut blkio.io_serviced_recursive, "Discard"),
            _ => continue,
        };
        // As above: shown, and nothing more.
        let value = value.parse().unwrap_or(0);
        list.push(BlkioEntry { major, minor, op: op.to_owned(), value });
    }
}

fn hugetlb(dir: &Dir<'_>) -> Result<BTreeMap<String, HugetlbStats>> {
    let mut sizes = BTreeMap::new();
    // The sizes are the processor's; the directory is the only list of them that this cgroup has.
    for size in dir.names_between("hugetlb.", ".current")? {
        if size.ends_with(".rsvd") {
            continue;
        }
        let events = text(dir, &format!("hugetlb.{size}.events"))?;
        let entry = HugetlbStats {
            usage: single(dir, &format!("hugetlb.{size}.current"))?,
            max: 0,
            failcnt: keyed(&events, "max").unwrap_or(0),
        };
        sizes.insert(size, entry);
    }
    Ok(sizes)
}

/// Pressure; `None` where the kernel was built or booted without it.
fn psi(dir: &Dir<'_>, file: &str) -> Result<Option<Psi>> {
    let Some(text) = dir.read_optional(file)? else {
        return Ok(None);
    };
    let mut psi = Psi::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("some", rest)) => psi.some = psi_line(rest),
            Some(("full", rest)) => psi.full = psi_line(rest),
            _ => {}
        }
    }
    Ok(Some(psi))
}

/// A number that is none is shown as 0, see [`list`].
fn psi_line(line: &str) -> PsiLine {
    let mut found = PsiLine::default();
    for (key, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
        match key {
            "avg10" => found.avg10 = value.parse().unwrap_or(0.0),
            "avg60" => found.avg60 = value.parse().unwrap_or(0.0),
            "avg300" => found.avg300 = value.parse().unwrap_or(0.0),
            "total" => found.total = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_expanded() {
        assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
        assert!(list("\n").is_empty());
    }

    #[test]
    fn io_lines_become_entries_by_operation() {
        let mut blkio = BlkioStats::default();
        add_device(&mut blkio, "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6");
        add_device(&mut blkio, "garbage");
        let bytes: Vec<(&str, u64)> =
            blkio.io_service_bytes_recursive.iter().map(|e| (e.op.as_str(), e.value)).collect();
        assert_eq!(bytes, [("Read", 1), ("Write", 2), ("Discard", 5)]);
        assert_eq!(blkio.io_serviced_recursive[1].minor, 16);
    }

    #[test]
    fn pressure_lines_are_read() {
        let line = psi_line("avg10=1.50 avg60=0.25 avg300=0.00 total=42");
        assert_eq!(line, PsiLine { avg10: 1.5, avg60: 0.25, avg300: 0.0, total: 42 });
    }
}
