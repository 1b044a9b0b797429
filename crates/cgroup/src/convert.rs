//! From the units of the OCI runtime specification, which are those of cgroup v1, to the text that cgroup v2
//! files take. Pure functions; the formulas are those of runc and crun, so that weights agree between runtimes.

use crate::error::{Error, Result};

/// Default length of the processor period, microseconds (cgroup-v2 documentation, cpu.max).
const DEFAULT_PERIOD: u64 = 100_000;

/// A number for a file where `max` is unlimited: negative is `max`, zero leaves the file alone.
pub fn number(value: Option<i64>) -> Option<String> {
    match value.unwrap_or(0) {
        0 => None,
        negative if negative < 0 => Some("max".to_owned()),
        positive => Some(positive.to_string()),
    }
}

/// cpu.weight (1 to 10000) for shares (2 to 262144): the curve through (2, 1), (1024, 100) and (262144, 10000).
/// Zero leaves the file alone.
pub fn cpu_weight(shares: Option<u64>) -> Option<u64> {
    match shares.unwrap_or(0) {
        0 => None,
        1..=2 => Some(1),
        262_144.. => Some(10_000),
        shares => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            Some(10f64.powf(exponent).ceil() as u64)
        }
    }
}

/// cpu.max for quota and period in microseconds; nothing when both are zero or absent.
pub fn cpu_max(quota: Option<i64>, period: Option<u64>) -> Option<String> {
    let (quota, period) = (quota.unwrap_or(0), period.unwrap_or(0));
    if quota == 0 && period == 0 {
        return None;
    }
    let period = if period == 0 { DEFAULT_PERIOD } else { period };
    let quota = if quota > 0 { quota.to_string() } else { "max".to_owned() };
    Some(format!("{quota} {period}"))
}

/// memory.swap.max for a limit and the specification's memory-plus-swap.
///
/// # Errors
/// [`Error::BadLimit`]: a swap limit without a memory limit, or below it; a negative number other
/// than -1.
pub fn swap_max(limit: Option<i64>, swap: Option<i64>) -> Result<Option<String>> {
    let (limit, swap) = (limit.unwrap_or(0), swap.unwrap_or(0));
    let bad = |name: &str, why: &str| {
        Err(Error::BadLimit { limit: format!("resources.memory.{name}"), why: why.to_owned() })
    };
    match (limit, swap) {
        (..=-2, _) => bad("limit", "a negative number other than -1"),
        (_, ..=-2) => bad("swap", "a negative number other than -1"),
        (-1, 0) | (_, -1) => Ok(Some("max".to_owned())),
        (_, 0) => Ok(None),
        (-1 | 0, _) => bad("swap", "unable to set swap limit without memory limit"),
        (limit, swap) if swap < limit => bad("swap", "memory+swap limit should be >= memory limit"),
        (limit, swap) => Ok(Some((swap - limit).to_string())),
    }
}

/// io.weight (1 to 10000) for a weight of 10 to 1000; zero leaves the file alone.
pub fn io_weight(weight: u16) -> Option<u64> {
    match u64::from(weight) {
        0 => None,
        weight => Some(1 + weight.saturating_sub(10) * 9999 / 990),
    }
}

/// pids.max: negative and zero are unlimited. No container could start with a limit of none, and podman writes 0 for its
/// `--pids-limit=0`, which means unlimited.
pub fn pids_max(limit: Option<i64>) -> Option<String> {
    limit.map(|limit| if limit <= 0 { "max".to_owned() } else { limit.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_weight_follows_the_common_curve() {
        let weight = |shares| cpu_weight(Some(shares));
        assert_eq!(cpu_weight(None), None);
        assert_eq!(weight(0), None);
        for (shares, expected) in [
            (1, 1),
            (2, 1),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_143, 10_000),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(weight(shares), Some(expected), "shares {shares}");
        }
    }

    #[test]
    fn cpu_weight_never_falls_and_stays_in_range() {
        let mut last = 1;
        for shares in 2..=262_144u64 {
            let weight = cpu_weight(Some(shares)).unwrap();
            assert!((last..=10_000).contains(&weight), "shares {shares}: {weight} after {last}");
            last = weight;
        }
    }

    #[test]
    fn cpu_max_fills_in_what_is_absent() {
        assert_eq!(cpu_max(None, None), None);
        assert_eq!(cpu_max(Some(0), Some(0)), None);
        assert_eq!(cpu_max(Some(5000), None).unwrap(), "5000 100000");
        assert_eq!(cpu_max(Some(-1), Some(2000)).unwrap(), "max 2000");
        assert_eq!(cpu_max(None, Some(2000)).unwrap(), "max 2000");
    }

    #[test]
    fn swap_is_what_exceeds_memory() {
        let swap = |limit, swap| swap_max(Some(limit), Some(swap)).unwrap();
        assert_eq!(swap(100, 300).unwrap(), "200");
        assert_eq!(swap(100, 100).unwrap(), "0");
        assert_eq!(swap(100, -1).unwrap(), "max");
        assert_eq!(swap(-1, 0).unwrap(), "max");
        assert_eq!(swap(0, -1).unwrap(), "max");
        assert_eq!(swap(100, 0), None);
        for (limit, total) in [(0, 5), (-1, 5), (10, 5), (-2, 0), (10, -7)] {
            assert!(swap_max(Some(limit), Some(total)).is_err(), "{limit} {total}");
        }
    }

    #[test]
    fn io_weight_maps_the_ends_to_the_ends() {
        assert_eq!(io_weight(0), None);
        assert_eq!(io_weight(10), Some(1));
        assert_eq!(io_weight(1000), Some(10_000));
    }

    #[test]
    fn numbers_below_zero_are_unlimited() {
        assert_eq!(number(Some(-1)).unwrap(), "max");
        assert_eq!(number(Some(0)), None);
        assert_eq!(pids_max(Some(0)).unwrap(), "max");
        assert_eq!(pids_max(Some(-1)).unwrap(), "max");
        assert_eq!(pids_max(None), None);
    }
}
