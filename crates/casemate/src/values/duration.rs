//! Durations in Go's notation (`time.ParseDuration`): `100ms`, `1.5s`, `1m30s`.

use std::time::Duration;

/// Reads a duration. Negative ones and overflow are errors; zero is left to the caller. The error is a
/// reason without a subject, such as `missing unit`.
pub(crate) fn parse_go_duration(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err("must not be negative");
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err("empty duration");
    }
    let mut total = 0_u128;
    while !rest.is_empty() {
        let (nanoseconds, behind) = leading_term(rest)?;
        total += nanoseconds;
        rest = behind;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| "duration too long")
}

/// One number with its unit, in nanoseconds, and the text behind it.
fn leading_term(text: &str) -> Result<(u128, &str), &'static str> {
    let number_end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("missing unit, such as 5s")?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    Ok((scale(number, nanoseconds_per(unit)?)?, rest))
}

fn nanoseconds_per(unit: &str) -> Result<u128, &'static str> {
    Ok(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return Err("unknown unit; one of ns us ms s m h"),
    })
}

/// `number`, a decimal with at most one point, times `unit`, rounded down.
fn scale(number: &str, unit: u128) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err("not a number");
    }
    let digits = |text: &str| match text {
        "" => Ok(0_u64),
        text => text.parse::<u64>().map_err(|_| "duration too long"),
    };
    // Beyond twelve digits a fraction cannot change a nanosecond of an hour.
    let fraction = &fraction[..fraction.len().min(12)];
    let denominator = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(12));
    Ok(u128::from(digits(whole)?) * unit + u128::from(digits(fraction)?) * unit / denominator)
}

#[cfg(test)]
mod tests {
    use super::parse_go_duration;
    use std::time::Duration;

    #[test]
    fn go_notation_is_read_as_go_reads_it() {
        let cases = [
            ("100ms", 100_000_000),
            ("3s", 3_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1h", 3_600_000_000_000),
            ("2us", 2_000),
            ("2\u{b5}s", 2_000),
            ("7ns", 7),
            ("+1s", 1_000_000_000),
            ("0", 0),
            ("0s", 0),
            ("1h0m0.000000001s", 3_600_000_000_001),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(parse_go_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "s", "5x", "5s3", "-1s", "1..2s", ".s", "5 s", "99999999999h", "1e3s"]
        {
            assert!(parse_go_duration(text).is_err(), "{text}");
        }
    }
}
