//! `/proc/PID/uid_map` and `gid_map` (user_namespaces(7)).

use crate::{HostId, InnerId, ParseError};

/// One line: a range of ids and what they are in the reader's user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: InnerId,
    /// First id outside, as the reader sees it.
    pub outside: HostId,
    /// How many.
    pub count: u32,
}

impl IdRange {
    /// What the reader calls this id; `None`: it is not in the range.
    #[must_use]
    pub fn to_host(&self, id: InnerId) -> Option<HostId> {
        let offset = id.0.checked_sub(self.inside.0).filter(|offset| *offset < self.count)?;
        self.outside.0.checked_add(offset).map(HostId)
    }

    /// What a process inside calls it.
    #[must_use]
    pub fn to_inner(&self, id: HostId) -> Option<InnerId> {
        let offset = id.0.checked_sub(self.outside.0).filter(|offset| *offset < self.count)?;
        self.inside.0.checked_add(offset).map(InnerId)
    }
}

/// All lines.
///
/// # Errors
/// A line that is not three numbers.
pub fn parse(text: &str) -> Result<Vec<IdRange>, ParseError> {
    text.lines().map(|line| range(line).ok_or_else(|| error(line))).collect()
}

fn error(line: &str) -> ParseError {
    ParseError::new("/proc/PID/uid_map, gid_map", line.as_bytes())
}

fn range(line: &str) -> Option<IdRange> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
    // A number that is none has no meaning to be kept: the line as a whole is the error.
    let mut next = || numbers.next()?.ok();
    let (inside, outside) = (InnerId(next()?), HostId(next()?));
    let found = IdRange { inside, outside, count: next()? };
    numbers.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_and_anything_else_is_an_error() {
        let map = parse("         0     100000      65536\n     65536 1 1\n").unwrap();
        let first = IdRange { inside: InnerId(0), outside: HostId(100_000), count: 65536 };
        assert_eq!(map[0], first);
        assert_eq!(first.to_host(InnerId(65535)), Some(HostId(165_535)));
        assert_eq!(first.to_host(InnerId(65536)), None);
        assert_eq!(first.to_inner(HostId(100_001)), Some(InnerId(1)));
        assert_eq!(first.to_inner(HostId(99_999)), None);
        let last = IdRange { inside: InnerId(1), outside: HostId(u32::MAX), count: 2 };
        assert_eq!(
            (last.to_host(InnerId(1)), last.to_host(InnerId(2))),
            (Some(HostId(u32::MAX)), None)
        );
        assert_eq!(map.len(), 2);
        assert_eq!(parse("").unwrap(), []);
        for text in ["0 1", "0 1 2 3", "a b c", "0 1 4294967296"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
