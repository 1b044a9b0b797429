//! Sizes with a suffix, as `update` takes them: `512m`, `1.5g`, `-1`.

/// Reads a number of bytes. k, m, g, t and p are powers of 1024, in either case, with an optional `b` or
/// `ib`; a fraction is allowed. `-1` means no limit and stays -1. `None` for anything else.
pub(crate) fn parse_size(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let shift = shift_of(suffix.strip_prefix(' ').unwrap_or(suffix))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i64 = whole.parse().ok()?;
    let whole = whole.checked_mul(1 << shift)?;
    whole.checked_add(fraction_of(fraction, shift)?)
}

fn shift_of(suffix: &str) -> Option<u32> {
    let suffix = suffix.to_ascii_lowercase();
    let shift = match suffix.chars().next() {
        None => return Some(0),
        Some('b') => return (suffix == "b").then_some(0),
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        Some('p') => 50,
        Some(_) => return None,
    };
    matches!(&suffix[1..], "" | "b" | "ib").then_some(shift)
}

/// `0.FRACTION` times 2 to the `shift`, rounded down.
fn fraction_of(fraction: &str, shift: u32) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let digits = &fraction[..fraction.len().min(15)];
    let numerator: u64 = digits.parse().ok()?;
    let denominator = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    i64::try_from((u128::from(numerator) << shift) / denominator).ok()
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn suffixes_are_powers_of_1024() {
        let cases = [
            ("-1", -1),
            ("0", 0),
            ("4096", 4096),
            ("4096b", 4096),
            ("1k", 1024),
            ("1K", 1024),
            ("2kb", 2048),
            ("512m", 512 << 20),
            ("512MiB", 512 << 20),
            ("1.5g", 1_610_612_736),
            ("1t", 1 << 40),
            ("32 mb", 32 << 20),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let cases =
            ["", "k", "-2", "-1k", "1x", "1kk", "0x10", "1.2.3", "9999999999g", "bk", " 1", "1e3"];
        for text in cases {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
