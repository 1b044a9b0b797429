//! From flags to what the runtime is asked for: every value checked, every path absolute.
//!
//! Nothing here changes the host. The only things read from it are the working directory, the
//! caller's ids and environment, and the files named by `update --resources`.

pub(crate) mod global;
pub(crate) mod lifecycle;
pub(crate) mod path;
pub(crate) mod update;

use anyhow::bail;
use casemate_runtime::request::EventsRequest;

use crate::cli::observe::EventsArgs;
use crate::cli::UsageError;
use crate::values::duration::parse_go_duration;

/// Checks a container id: letters, digits, `_ + - .`, and neither `.` nor `..`. It becomes a directory
/// name and part of cgroup and systemd unit names.
pub(crate) fn container_id(id: &str) -> anyhow::Result<String> {
    if id.is_empty() {
        bail!("container id cannot be empty");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if !id.bytes().all(allowed) || id == "." || id == ".." {
        bail!("invalid container ID format: {id:?}\nhint: letters, digits and _ + - . are allowed");
    }
    Ok(id.to_owned())
}

/// Builds the request of `events`.
pub(crate) fn events(args: &EventsArgs) -> anyhow::Result<EventsRequest> {
    let interval = parse_go_duration(&args.interval)
        .map_err(|reason| UsageError::bad_value(args.interval.as_ref(), "interval", reason))?;
    if interval.is_zero() {
        bail!("duration interval must be greater than 0");
    }
    Ok(EventsRequest { id: container_id(&args.id)?, once: args.stats, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_file_names() {
        for id in ["a", "web-1", "A_b+c.d", "...", "0", "-"] {
            assert_eq!(container_id(id).unwrap(), id);
        }
        assert_eq!(container_id("").unwrap_err().to_string(), "container id cannot be empty");
        for id in [".", "..", "a/b", "../x", "a b", "a\n", "\u{e9}", "a:b", "a@b"] {
            let error = container_id(id).unwrap_err().to_string();
            assert!(error.starts_with("invalid container ID format"), "{id}: {error}");
        }
    }

    #[test]
    fn events_interval_must_be_positive() {
        let args = |interval: &str| EventsArgs {
            interval: interval.to_owned(),
            id: "x".to_owned(),
            ..EventsArgs::default()
        };
        assert_eq!(events(&args("100ms")).unwrap().interval.as_millis(), 100);
        for interval in ["0s", "-1s", "5", ""] {
            assert!(events(&args(interval)).is_err(), "{interval}");
        }
    }
}
