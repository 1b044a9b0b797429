//! Signals by number or name.

use casemate_runtime::nearest;

/// Names without `SIG`, by number. Linux on x86_64, aarch64 and every other architecture casemate
/// builds for; aliases follow below.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

const ALIASES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// First real-time signal as programs see it; glibc and musl both keep the kernel's 32 and 33.
const REAL_TIME_MIN: i32 = 34;
const REAL_TIME_MAX: i32 = 64;

/// Reads a signal: 0 to 64, or a name in either case with or without `SIG`; `RTMIN+n` and `RTMAX-n`
/// too. `None` for anything else.
pub(crate) fn parse_signal(text: &str) -> Option<i32> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| *number <= REAL_TIME_MAX);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|known| !known.is_empty() && *known == name) {
        return i32::try_from(at).ok();
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, number)| *number);
    alias.or_else(|| real_time(name))
}

/// The name that was meant by one that is none.
pub(crate) fn meant_by(text: &str) -> Option<&'static str> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    nearest(name, NAMES.iter().copied().filter(|known| !known.is_empty()).chain(aliases))
}

fn real_time(name: &str) -> Option<i32> {
    let number = if let Some(above) = name.strip_prefix("RTMIN") {
        REAL_TIME_MIN + distance(above, '+')?
    } else {
        REAL_TIME_MAX - distance(name.strip_prefix("RTMAX")?, '-')?
    };
    (REAL_TIME_MIN..=REAL_TIME_MAX).contains(&number).then_some(number)
}

fn distance(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(sign)?;
    let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::{parse_signal, NAMES};

    #[test]
    fn names_and_numbers_are_equal() {
        let cases = [
            ("TERM", 15),
            ("term", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("0", 0),
            ("9", 9),
            ("KILL", 9),
            ("64", 64),
            ("34", 34),
            ("SIGIOT", 6),
            ("chld", 17),
            ("cld", 17),
            ("winch", 28),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax", 64),
            ("RTMAX-1", 63),
        ];
        for (text, number) in cases {
            assert_eq!(parse_signal(text), Some(number), "{text}");
        }
    }

    #[test]
    fn unknown_signals_are_refused() {
        let cases = [
            "",
            "SIG",
            "FOO",
            "65",
            "-9",
            "+9",
            "0x9",
            "9 ",
            "RTMIN+31",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+",
            "99999999999",
            "SIGSIGTERM",
        ];
        for text in cases {
            assert_eq!(parse_signal(text), None, "{text}");
        }
    }

    #[test]
    fn table_agrees_with_the_kernel_headers() {
        assert_eq!(NAMES[rustix::process::Signal::KILL.as_raw() as usize], "KILL");
        assert_eq!(NAMES[rustix::process::Signal::CHILD.as_raw() as usize], "CHLD");
        assert_eq!(NAMES[rustix::process::Signal::SYS.as_raw() as usize], "SYS");
        assert_eq!(NAMES[rustix::process::Signal::WINCH.as_raw() as usize], "WINCH");
    }
}
