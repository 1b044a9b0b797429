//! `/proc/PID/status` (proc_pid_status(5)), the lines that confinement shows in.

use crate::words::words;
use crate::ParseError;

/// What a process may do, as the kernel says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Real, effective, saved and file system user id, in the reader's user namespace.
    pub uid: [u32; 4],
    /// The same of groups.
    pub gid: [u32; 4],
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Inheritable capabilities, a mask.
    pub inheritable: u64,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Effective capabilities.
    pub effective: u64,
    /// Bounding set.
    pub bounding: u64,
    /// Ambient set.
    pub ambient: u64,
    /// no_new_privs is set.
    pub no_new_privs: bool,
    /// 0: no system call filter, 1: strict mode, 2: filters.
    pub seccomp_mode: u32,
    /// How many filters; `None` before Linux 5.9, which does not say.
    pub seccomp_filters: Option<u32>,
}

/// Reads the text of the file.
///
/// # Errors
/// A line that is missing or has another form.
pub fn parse(text: &str) -> Result<Status, ParseError> {
    // Twelve fields of some sixty: where each line begins is found once.
    let mut lines = Vec::with_capacity(64);
    lines.extend(words(text.as_bytes(), b'\n').filter_map(|line| {
        let end = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..end], &line[end + 1..]))
    }));
    let field = |name: &str| {
        let line = lines.iter().find(|(begins, _)| *begins == name.as_bytes());
        // It was text, and is cut at what is no part of another character.
        let value = line.and_then(|(_, value)| std::str::from_utf8(value).ok());
        value.map(str::trim).ok_or_else(|| error(name))
    };
    let mask = |name: &str| u64::from_str_radix(field(name)?, 16).map_err(|_| error(name));
    let number = |name: &str| field(name)?.parse::<u32>().map_err(|_| error(name));
    Ok(Status {
        uid: ids(field("Uid")?).ok_or_else(|| error("Uid"))?,
        gid: ids(field("Gid")?).ok_or_else(|| error("Gid"))?,
        groups: numbers(field("Groups")?).ok_or_else(|| error("Groups"))?,
        inheritable: mask("CapInh")?,
        permitted: mask("CapPrm")?,
        effective: mask("CapEff")?,
        bounding: mask("CapBnd")?,
        ambient: mask("CapAmb")?,
        no_new_privs: number("NoNewPrivs")? == 1,
        seccomp_mode: number("Seccomp")?,
        seccomp_filters: match field("Seccomp_filters") {
            Ok(text) => Some(text.parse().map_err(|_| error("Seccomp_filters"))?),
            // The line is missing before Linux 5.9.
            Err(_) => None,
        },
    })
}

fn error(name: &str) -> ParseError {
    ParseError::new("/proc/PID/status", name.as_bytes())
}

fn ids(text: &str) -> Option<[u32; 4]> {
    numbers(text)?.try_into().ok()
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    // A word that is no number makes the line an error.
    text.split_ascii_whitespace().map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tcat\nUid:\t0\t1000\t2\t3\nGid:\t4\t5\t6\t7\nGroups:\t0 20 \n\
        CapInh:\t0000000000000000\nCapPrm:\t00000000000000ff\nCapEff:\t0000000000000001\n\
        CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    #[test]
    fn what_confines_a_process_is_read() {
        let status = parse(TEXT).unwrap();
        assert_eq!((status.uid, status.gid), ([0, 1000, 2, 3], [4, 5, 6, 7]));
        assert_eq!(status.groups, [0, 20]);
        assert_eq!((status.permitted, status.bounding), (0xff, 0x1ff_ffff_ffff));
        assert!(status.no_new_privs);
        assert_eq!((status.seccomp_mode, status.seccomp_filters), (2, None));
        let newer = parse(&format!("{TEXT}Seccomp_filters:\t3\n")).unwrap();
        assert_eq!(newer.seccomp_filters, Some(3));
    }

    #[test]
    fn a_line_that_is_missing_or_damaged_is_an_error() {
        for (from, to) in [("CapBnd", "Cap"), ("Seccomp:\t2", "Seccomp:\tx"), ("\t5\t6\t7", "")] {
            assert!(parse(&TEXT.replace(from, to)).is_err(), "{from}");
        }
        assert!(parse("").is_err());
    }
}
