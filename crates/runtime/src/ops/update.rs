//! `update`: new limits for a container and its record, or the old ones for both.

use crate::audit_log::around;
use crate::hinted::hinted;
use crate::plan;
use crate::request::{Global, UpdateRequest};
use crate::state::Container;
use crate::state::{Record, Status};
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_cgroup::{Cgroup, Contents, Hierarchy, Limits};
use casemate_policy::spec::Resources;
use casemate_policy::{harden_resources, HostFacts};

/// Apply what the request names and keep the rest. Device rules and huge page limits in the JSON are ignored: callers send
/// them along unchanged, and applying them again would undo what device plug-ins did.
///
/// # Errors
/// The container does not exist or is stopped; the request is malformed or asks for Intel RDT; the
/// policy or the kernel refuses a limit. The record is the old one then, and the old limits are
/// applied again as far as the kernel takes them.
pub fn update(global: &Global, request: &UpdateRequest) -> Result<()> {
    around(global, "update", &request.id, |trail| {
        trail.set("casemate.resources", || {
            // Null for what is no JSON, which is refused below.
            serde_json::from_slice(&request.resources).unwrap_or_default()
        });
        apply(global, request)
    })
}

fn apply(global: &Global, request: &UpdateRequest) -> Result<()> {
    let mut container = Container::load(global, &request.id)?;
    container.state.lock()?;
    if container.status()? == Status::Stopped {
        bail!("container not running");
    }
    if request.l3_cache_schema.is_some() || request.mem_bw_schema.is_some() {
        return Err(hinted(
            "Intel RDT is not supported by this release",
            "leave --l3-cache-schema and --mem-bw-schema out",
        ));
    }
    let resources = Resources::parse(&request.resources)?;
    let (mut resources, _) =
        harden_resources(resources, &container.record.spec, &facts(&container)?)?;
    resources.devices.clear();
    resources.hugepage_limits.clear();
    let change = plan::cgroup::limits(Some(&resources))?;
    let merged = container.record.limits.merge(&change);
    merged.validate().context("linux.resources")?;
    let cgroup =
        container.cgroup()?.ok_or_else(|| anyhow!("the container has no cgroup to limit"))?;
    // What the record does not name, the change may set for the first time: files tell it. What cannot be read stays.
    let before = cgroup.contents().unwrap_or_default();
    let old = std::mem::replace(&mut container.record.limits, merged);
    let record = &container.record;
    let back = || take_back(&cgroup, record, (&old, &before));
    let change = || {
        let changed = crate::launch::cgroups::update(&cgroup, record, &record.limits);
        changed.inspect_err(|_| back()).context("linux.resources")
    };
    container.state.save_with(record, change, back)
}

/// Back to what was in force. The error that led here is the one to tell.
fn take_back(cgroup: &Cgroup, record: &Record, (limits, before): (&Limits, &Contents)) {
    crate::launch::cgroups::update(cgroup, record, limits).ok();
    cgroup.restore_settings(before).ok();
}

/// The controllers of the cgroup that the container has.
fn facts(container: &Container) -> Result<HostFacts> {
    let controllers = match container.cgroup()? {
        Some(_) => Hierarchy::discover()?.controllers()?,
        None => Vec::new(),
    };
    Ok(HostFacts { cgroup_controllers: controllers, ..HostFacts::default() })
}
