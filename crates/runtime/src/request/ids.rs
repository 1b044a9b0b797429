//! Numeric user and group ids, read strictly.
//!
//! A runtime that reads an unusable id as 0 runs the process as root (CVE-2026-30892). So there is no
//! default, no sign, no radix prefix, no white space and no wrapping here: decimal digits, within the
//! range of an id, or an error.

use super::Invalid;

/// Reads the value of `--user`.
pub(super) fn user(text: &str) -> Result<(u32, Option<u32>), Invalid> {
    parse_user(text).ok_or_else(|| {
        Invalid::new(format!("invalid user {text:?}: must be UID or UID:GID"))
            .with_hint("names are not looked up")
    })
}

/// Reads a value of `--additional-gids`.
pub(super) fn group(text: &str) -> Result<u32, Invalid> {
    parse_id(text)
        .ok_or_else(|| Invalid::new(format!("invalid additional gid {text:?}: must be a number")))
}

/// Reads one id: decimal, 0 to 4294967294. 4294967295 is (uid_t)-1, which the kernel takes for "leave
/// unchanged".
fn parse_id(text: &str) -> Option<u32> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| all_digits && *id != u32::MAX)
}

/// Reads `UID[:GID]`; both halves must be there if the colon is.
fn parse_user(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once(':') {
        None => Some((parse_id(text)?, None)),
        Some((uid, gid)) => Some((parse_id(uid)?, Some(parse_id(gid)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_user;

    #[test]
    fn user_is_exactly_what_was_written() {
        let cases = [
            ("0", (0, None)),
            ("1", (1, None)),
            ("1:2", (1, Some(2))),
            ("0:0", (0, Some(0))),
            ("1000:100", (1000, Some(100))),
            ("4294967294", (4_294_967_294, None)),
            ("007", (7, None)),
        ];
        for (text, user) in cases {
            assert_eq!(parse_user(text), Some(user), "{text}");
        }
    }

    #[test]
    fn cve_2026_30892_unusable_user_is_never_root() {
        let cases = [
            "",
            "-1",
            "4294967295",
            "4294967296",
            "18446744073709551616",
            "0x1",
            "0x0",
            "1:",
            ":1",
            ":",
            "+1",
            "+0",
            " 1",
            "1 ",
            "1: 2",
            "1:2:3",
            "1:-1",
            "1:4294967295",
            "root",
            "1.0",
            "1e0",
            "\u{661}",
            "1\n",
            "\u{0}",
        ];
        for text in cases {
            assert_eq!(parse_user(text), None, "{text:?}");
        }
    }
}
