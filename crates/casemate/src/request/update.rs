//! The request of `update`: flags become an OCI `linux.resources` object, a file is passed on as it is.

use super::container_id;
use crate::cli::update::UpdateArgs;
use crate::cli::UsageError;
use crate::values::size::parse_size;
use anyhow::{ensure, Context};
use casemate_runtime::files::read_regular;
use casemate_runtime::request::UpdateRequest;
use serde_json::{json, Map, Value};
use std::ffi::OsStr;
use std::io::Read;

/// More than any resources object; keeps a wrong file from filling memory.
const MOST_RESOURCE_BYTES: u64 = 4 << 20;

/// Builds the request. With `--resources` the limits among the flags are not looked at, as in runc.
pub(crate) fn update(args: &UpdateArgs) -> anyhow::Result<UpdateRequest> {
    let id = container_id(&args.id)?;
    let resources = match args.resources.as_deref().filter(|source| !source.is_empty()) {
        Some(source) => read_resources(source)?,
        None => serde_json::to_vec(&from_flags(args)?).context("encode the resources")?,
    };
    Ok(UpdateRequest {
        id,
        resources,
        l3_cache_schema: args.l3_cache_schema.clone().filter(|schema| !schema.is_empty()),
        mem_bw_schema: args.mem_bw_schema.clone().filter(|schema| !schema.is_empty()),
    })
}

fn read_resources(source: &OsStr) -> anyhow::Result<Vec<u8>> {
    let name = if source == "-" { "standard input".into() } else { source.to_string_lossy() };
    let about = || format!("read resources from {name}");
    let bytes = if source == "-" {
        let mut bytes = Vec::new();
        let mut input = std::io::stdin().lock().take(MOST_RESOURCE_BYTES + 1);
        input.read_to_end(&mut bytes).with_context(about)?;
        bytes
    } else {
        // Without waiting for who would write into a pipe.
        read_regular(source.as_ref()).with_context(about)?
    };
    let fits = bytes.len() as u64 <= MOST_RESOURCE_BYTES;
    ensure!(fits, "read resources from {name}: more than {MOST_RESOURCE_BYTES} bytes");
    Ok(bytes)
}

/// The `linux.resources` object of the flags; a flag that was not given leaves no trace in it.
fn from_flags(args: &UpdateArgs) -> Result<Value, UsageError> {
    let memory = object([
        ("limit", size("memory", &args.memory)?),
        ("reservation", size("memory-reservation", &args.memory_reservation)?),
        ("swap", size("memory-swap", &args.memory_swap)?),
    ]);
    let cpu = object([
        ("shares", unsigned("cpu-share", &args.cpu_share)?),
        ("quota", signed("cpu-quota", &args.cpu_quota)?),
        ("period", unsigned("cpu-period", &args.cpu_period)?),
        ("burst", unsigned("cpu-burst", &args.cpu_burst)?),
        ("idle", signed("cpu-idle", &args.cpu_idle)?),
        ("cpus", text(&args.cpuset_cpus)),
        ("mems", text(&args.cpuset_mems)),
        ("realtimePeriod", unsigned("cpu-rt-period", &args.cpu_rt_period)?),
        ("realtimeRuntime", signed("cpu-rt-runtime", &args.cpu_rt_runtime)?),
    ]);
    let pids = object([("limit", signed("pids-limit", &args.pids_limit)?)]);
    let block_io = object([("weight", weight(&args.blkio_weight)?)]);
    let resources =
        object([("memory", memory), ("cpu", cpu), ("pids", pids), ("blockIO", block_io)]);
    Ok(resources.unwrap_or_else(|| json!({})))
}

/// An object of the fields that are there; `None` if none is.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let present: Map<String, Value> =
        fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    (!present.is_empty()).then_some(Value::Object(present))
}

fn text(value: &Option<String>) -> Option<Value> {
    value.as_deref().filter(|value| !value.is_empty()).map(Value::from)
}

type Field = Result<Option<Value>, UsageError>;

fn size(flag: &str, value: &Option<String>) -> Field {
    read(flag, value, "not a size", |text| parse_size(text).map(Value::from))
}

fn signed(flag: &str, value: &Option<String>) -> Field {
    read(flag, value, "not an integer", |text| text.parse::<i64>().ok().map(Value::from))
}

fn unsigned(flag: &str, value: &Option<String>) -> Field {
    read(flag, value, "not a positive integer", |text| text.parse::<u64>().ok().map(Value::from))
}

fn weight(value: &Option<String>) -> Field {
    read("blkio-weight", value, "not a weight", |text| text.parse::<u16>().ok().map(Value::from))
}

/// An empty value counts as not given: callers pass variables that may be empty.
fn read(
    flag: &str,
    value: &Option<String>,
    reason: &str,
    parse: impl Fn(&str) -> Option<Value>,
) -> Field {
    let Some(text) = value.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
    match parse(text) {
        Some(value) => Ok(Some(value)),
        None => Err(UsageError::bad_value(text.as_ref(), flag, reason)),
    }
}

/// Flags that are accepted and have no effect, for a warning in the log.
pub(crate) fn ignored_flags(args: &UpdateArgs) -> Option<&'static str> {
    let given = args.kernel_memory.is_some() || args.kernel_memory_tcp.is_some();
    given.then_some(
        "--kernel-memory and --kernel-memory-tcp are ignored: Linux 5.14 removed the limit",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(args: &UpdateArgs) -> Value {
        serde_json::from_slice(&update(args).unwrap().resources).unwrap()
    }

    fn args() -> UpdateArgs {
        UpdateArgs { id: "x".to_owned(), ..UpdateArgs::default() }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn flags_become_the_fields_they_name_and_no_others() {
        assert_eq!(resources(&args()), json!({}));
        let given = UpdateArgs {
            memory: some("512m"),
            memory_swap: some("-1"),
            cpu_quota: some("-1"),
            cpu_share: some("1024"),
            cpuset_cpus: some("0-1"),
            pids_limit: some("0"),
            blkio_weight: some("500"),
            ..args()
        };
        let wanted = json!({
            "memory": {"limit": 536_870_912, "swap": -1},
            "cpu": {"quota": -1, "shares": 1024, "cpus": "0-1"},
            "pids": {"limit": 0},
            "blockIO": {"weight": 500},
        });
        assert_eq!(resources(&given), wanted);
    }

    #[test]
    fn empty_values_count_as_absent() {
        let given = UpdateArgs { memory: some(""), cpu_share: some(""), ..args() };
        assert_eq!(resources(&given), json!({}));
    }

    #[test]
    fn wrong_values_name_the_flag() {
        let given = UpdateArgs { memory: some("lots"), ..args() };
        let error = update(&given).unwrap_err().to_string();
        assert_eq!(error, "invalid value \"lots\" for flag -memory: not a size");
        assert!(update(&UpdateArgs { cpu_share: some("-1"), ..args() }).is_err());
        assert!(update(&UpdateArgs { blkio_weight: some("70000"), ..args() }).is_err());
    }

    #[test]
    fn missing_resources_file_is_named() {
        let given = UpdateArgs { resources: Some("/nonexistent/r.json".into()), ..args() };
        let error = format!("{:#}", update(&given).unwrap_err());
        assert!(error.contains("/nonexistent/r.json: no such file"), "{error}");
    }
}
