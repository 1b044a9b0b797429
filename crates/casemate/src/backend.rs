//! The one door to the crate that does the work.

use anyhow::bail;
use casemate_runtime::report::{ListReport, StateReport};
use casemate_runtime::request::{
    CreateRequest, DeleteRequest, EventsRequest, ExecRequest, ExplainRequest, Global, KillRequest,
    RunRequest, UpdateRequest,
};

const NOT_BUILT: &str = "operation not built yet";

pub(crate) fn create(_global: &Global, _request: &CreateRequest) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn start(_global: &Global, _id: &str) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn run(_global: &Global, _request: &RunRequest) -> anyhow::Result<i32> {
    bail!(NOT_BUILT)
}

pub(crate) fn exec(_global: &Global, _request: &ExecRequest) -> anyhow::Result<i32> {
    bail!(NOT_BUILT)
}

pub(crate) fn kill(_global: &Global, _request: &KillRequest) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn delete(_global: &Global, _request: &DeleteRequest) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn state(_global: &Global, _id: &str) -> anyhow::Result<StateReport> {
    bail!(NOT_BUILT)
}

pub(crate) fn list(_global: &Global) -> anyhow::Result<ListReport> {
    bail!(NOT_BUILT)
}

pub(crate) fn ps(_global: &Global, _id: &str) -> anyhow::Result<Vec<i32>> {
    bail!(NOT_BUILT)
}

pub(crate) fn pause(_global: &Global, _id: &str) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn resume(_global: &Global, _id: &str) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn update(_global: &Global, _request: &UpdateRequest) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn events(
    _global: &Global,
    _request: &EventsRequest,
    _print: &mut dyn FnMut(serde_json::Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    bail!(NOT_BUILT)
}

pub(crate) fn explain(
    _global: &Global,
    _request: &ExplainRequest,
) -> anyhow::Result<serde_json::Value> {
    bail!(NOT_BUILT)
}
