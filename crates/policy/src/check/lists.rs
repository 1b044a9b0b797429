//! The kernel's list format for CPUs and memory nodes: `0-3,7`.

/// Highest number accepted; far above any machine, far below an overflow.
const HIGHEST: u32 = 65_535;

/// Says what is wrong with a list, if anything. Groups (`0-31:2/4`) are not part of what cgroup files
/// and the specification take.
pub(super) fn problem(list: &str) -> Option<String> {
    list.trim().split(',').find_map(|part| match range(part.trim()) {
        Some((first, last)) if first <= last && last <= HIGHEST => None,
        _ => Some(format!("{list:?} is not a list like \"0-3,7\"")),
    })
}

fn range(part: &str) -> Option<(u32, u32)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten()
    };
    match part.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(part).map(|single| (single, single)),
    }
}
