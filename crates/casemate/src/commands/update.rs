//! `update`: flags become an OCI `linux.resources` object, a file is passed on as it is.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::report::Level;
use crate::values::size::parse_size;
use anyhow::{ensure, Context as _};
use casemate_runtime::files::read_regular;
use casemate_runtime::request::UpdateRequest;
use casemate_runtime::ContainerId;
use serde_json::{json, Map, Value};
use std::ffi::{OsStr, OsString};
use std::io::Read;

/// More than any resources object; keeps a wrong file from filling memory.
const MOST_RESOURCE_BYTES: u64 = 4 << 20;

pub(super) const VERB: Verb = Verb::of::<Update>(
    "update",
    Group::Inside,
    "Change the resource limits of a container",
    Arity::Exactly(1),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate update --memory 512m --pids-limit 100 web
  casemate update --resources - web < resources.json

Limits that are not named keep their values.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Update {
    /// Read an OCI linux.resources object from this file, or from standard input (-); the flags
    /// below are then ignored
    #[arg(short, long, value_name = "FILE", help_heading = "Source")]
    resources: Option<OsString>,

    /// Memory limit: bytes, or with k, m or g; -1 for none
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Memory")]
    memory: Option<i64>,

    /// Memory that is reclaimed last
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Memory")]
    memory_reservation: Option<i64>,

    /// Limit for memory and swap together; -1 for none
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Memory")]
    memory_swap: Option<i64>,

    /// Share of the CPU, relative to others [2 to 262144, usually 1024]
    #[arg(long, value_name = "SHARES", value_parser = unsigned, help_heading = "CPU")]
    cpu_share: Option<u64>,

    /// CPU time that may be used in one period, in microseconds; -1 for no limit
    #[arg(long, value_name = "MICROSECONDS", value_parser = signed, help_heading = "CPU")]
    cpu_quota: Option<i64>,

    /// Length of that period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", value_parser = unsigned, help_heading = "CPU")]
    cpu_period: Option<u64>,

    /// Unused CPU time that may be used later, in microseconds
    #[arg(long, value_name = "MICROSECONDS", value_parser = unsigned, help_heading = "CPU")]
    cpu_burst: Option<u64>,

    /// 1 to run only when nothing else wants the CPU, 0 to compete
    #[arg(long, value_name = "0|1", value_parser = signed, help_heading = "CPU")]
    cpu_idle: Option<i64>,

    /// CPUs that may be used, such as 0-3,7
    #[arg(long, value_name = "LIST", help_heading = "CPU")]
    cpuset_cpus: Option<String>,

    /// Memory nodes that may be used, such as 0-1
    #[arg(long, value_name = "LIST", help_heading = "CPU")]
    cpuset_mems: Option<String>,

    /// Real-time period, in microseconds; cgroup v1 only
    #[arg(long, value_name = "MICROSECONDS", value_parser = unsigned, help_heading = "CPU")]
    cpu_rt_period: Option<u64>,

    /// Real-time runtime, in microseconds; cgroup v1 only
    #[arg(long, value_name = "MICROSECONDS", value_parser = signed, help_heading = "CPU")]
    cpu_rt_runtime: Option<i64>,

    /// Number of processes and threads; -1 for no limit
    #[arg(long, value_name = "N", value_parser = signed, help_heading = "Other")]
    pids_limit: Option<i64>,

    /// Weight of disk input and output [10 to 1000]
    #[arg(long, value_name = "WEIGHT", value_parser = weight, help_heading = "Other")]
    blkio_weight: Option<u16>,

    /// Intel RDT L3 cache schema
    #[arg(long, value_name = "SCHEMA", help_heading = "Other")]
    l3_cache_schema: Option<String>,

    /// Intel RDT memory bandwidth schema
    #[arg(long, value_name = "SCHEMA", help_heading = "Other")]
    mem_bw_schema: Option<String>,

    /// Accepted for compatibility with older callers; ignored, with a warning in the log
    #[arg(long, value_name = "SIZE", hide = true)]
    kernel_memory: Option<String>,

    /// Accepted for older callers' sake; ignored, with a warning in the log
    #[arg(long, value_name = "SIZE", hide = true)]
    kernel_memory_tcp: Option<String>,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: ContainerId,
}

impl Execute for Update {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        if self.kernel_memory.is_some() || self.kernel_memory_tcp.is_some() {
            context.reporter.note(
                Level::Warning,
                "--kernel-memory and --kernel-memory-tcp are ignored: Linux 5.14 removed the limit",
            );
        }
        backend::update(&context.global, &request(self)?)?;
        Ok(0)
    }
}

/// With `--resources` the limits among the flags are not looked at, as in runc.
fn request(update: Update) -> anyhow::Result<UpdateRequest> {
    let resources = match &update.resources {
        Some(source) => read_resources(source)?,
        None => serde_json::to_vec(&limits(&update)).context("encode the resources")?,
    };
    Ok(UpdateRequest {
        id: update.id,
        resources,
        l3_cache_schema: update.l3_cache_schema,
        mem_bw_schema: update.mem_bw_schema,
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
fn limits(update: &Update) -> Value {
    let memory = object([
        ("limit", update.memory.map(Value::from)),
        ("reservation", update.memory_reservation.map(Value::from)),
        ("swap", update.memory_swap.map(Value::from)),
    ]);
    let cpu = object([
        ("shares", update.cpu_share.map(Value::from)),
        ("quota", update.cpu_quota.map(Value::from)),
        ("period", update.cpu_period.map(Value::from)),
        ("burst", update.cpu_burst.map(Value::from)),
        ("idle", update.cpu_idle.map(Value::from)),
        ("cpus", update.cpuset_cpus.as_deref().map(Value::from)),
        ("mems", update.cpuset_mems.as_deref().map(Value::from)),
        ("realtimePeriod", update.cpu_rt_period.map(Value::from)),
        ("realtimeRuntime", update.cpu_rt_runtime.map(Value::from)),
    ]);
    let pids = object([("limit", update.pids_limit.map(Value::from))]);
    let block_io = object([("weight", update.blkio_weight.map(Value::from))]);
    object([("memory", memory), ("cpu", cpu), ("pids", pids), ("blockIO", block_io)])
        .unwrap_or_else(|| json!({}))
}

/// An object of the fields that are there; `None` if none is.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let present: Map<String, Value> =
        fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    (!present.is_empty()).then_some(Value::Object(present))
}

fn size(text: &str) -> Result<i64, &'static str> {
    parse_size(text).ok_or("not a size")
}

fn signed(text: &str) -> Result<i64, &'static str> {
    text.parse().map_err(|_| "not an integer")
}

fn unsigned(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "not a positive integer")
}

fn weight(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "not a weight")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    fn update(flags: &[&str]) -> Result<Update, clap::Error> {
        let words = ["update"].iter().chain(flags).chain(&["x"]);
        Update::from_arg_matches(&VERB.command().try_get_matches_from(words)?)
    }

    #[test]
    fn flags_become_the_fields_they_name_and_no_others() {
        assert_eq!(limits(&update(&[]).unwrap()), json!({}));
        let given = [
            "--memory=512m",
            "--memory-swap=-1",
            "--cpu-quota=-1",
            "--cpu-share=1024",
            "--cpuset-cpus=0-1",
            "--pids-limit=0",
            "--blkio-weight=500",
        ];
        let wanted = json!({
            "memory": {"limit": 536_870_912, "swap": -1},
            "cpu": {"quota": -1, "shares": 1024, "cpus": "0-1"},
            "pids": {"limit": 0},
            "blockIO": {"weight": 500},
        });
        assert_eq!(limits(&update(&given).unwrap()), wanted);
    }

    #[test]
    fn wrong_values_are_refused() {
        let error = update(&["--memory=lots"]).unwrap_err().to_string();
        assert!(error.contains("not a size"), "{error}");
        assert!(update(&["--cpu-share=-1"]).is_err());
        assert!(update(&["--blkio-weight=70000"]).is_err());
    }

    #[test]
    fn missing_resources_file_is_named() {
        let given = update(&["--resources=/nonexistent/r.json"]).unwrap();
        let error = format!("{:#}", request(given).unwrap_err());
        assert!(error.contains("/nonexistent/r.json: no such file"), "{error}");
    }
}
