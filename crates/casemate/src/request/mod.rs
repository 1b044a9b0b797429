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
use casemate_runtime::ContainerId;

use crate::cli::observe::EventsArgs;
use crate::cli::UsageError;
use crate::values::duration::parse_go_duration;

/// Checks a container id.
pub(crate) fn container_id(id: &str) -> anyhow::Result<ContainerId> {
    ContainerId::parse(id)
}

/// Builds the request of `events`.
pub(crate) fn events(args: &EventsArgs, id: ContainerId) -> anyhow::Result<EventsRequest> {
    let interval = parse_go_duration(&args.interval)
        .map_err(|reason| UsageError::bad_value(args.interval.as_ref(), "interval", reason))?;
    if interval.is_zero() {
        bail!("duration interval must be greater than 0");
    }
    Ok(EventsRequest { id, once: args.stats, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_interval_must_be_positive() {
        let args = |interval: &str| EventsArgs {
            interval: interval.to_owned(),
            id: "x".to_owned(),
            ..EventsArgs::default()
        };
        let events = |args| super::events(&args, container_id("x").unwrap());
        assert_eq!(events(args("100ms")).unwrap().interval.as_millis(), 100);
        for interval in ["0s", "-1s", "5", ""] {
            assert!(events(args(interval)).is_err(), "{interval}");
        }
    }
}
