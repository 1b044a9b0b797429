//! `/proc/PID/uid_map` and `gid_map` (user_namespaces(7)).

use crate::ParseError;

/// One line: a range of ids and what they are in the reader's user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside, as the reader sees it.
    pub outside: u32,
    /// How many.
    pub count: u32,
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
    let found = IdRange { inside: next()?, outside: next()?, count: next()? };
    numbers.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_and_anything_else_is_an_error() {
        let map = parse("         0     100000      65536\n     65536 1 1\n").unwrap();
        assert_eq!(map[0], IdRange { inside: 0, outside: 100_000, count: 65536 });
        assert_eq!(map.len(), 2);
        assert_eq!(parse("").unwrap(), []);
        for text in ["0 1", "0 1 2 3", "a b c", "0 1 4294967296"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
