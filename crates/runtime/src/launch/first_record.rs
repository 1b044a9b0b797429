//! The first record of a container: written before anything else of it is made.

use super::notify;
use crate::plan::container::ParentPlan;
use crate::request::CreateRequest;
use crate::resolve::Resolved;
use crate::state::{Record, SeccompRecord};
use anyhow::{bail, Result};
use casemate_policy::SourceFact;
use casemate_sandbox::plan::SeccompFilter;
use std::path::PathBuf;

/// # Errors
/// A filter that notifies, and no agent to notify; the cgroup's place.
pub(crate) fn first_record(
    resolved: &mut Resolved,
    parent: &ParentPlan,
    request: &CreateRequest,
) -> Result<Box<Record>> {
    let Resolved { decided, id_range, own_ids, categories } = resolved;
    let spec = decided.spec.without_seccomp();
    let notifies = parent.filters.iter().any(SeccompFilter::notifies);
    let notifying = decided.spec.linux.seccomp.as_ref().filter(|_| notifies);
    let listener = notifying.and_then(|filter| {
        let metadata = filter.listener_metadata.clone().unwrap_or_default();
        let path = match &decided.facts.listener {
            // What was judged, whatever a link leads to by now.
            Some(SourceFact::Found(file)) => &file.path,
            _ => filter.listener_path.as_ref()?,
        };
        Some((PathBuf::from(path), metadata))
    });
    if notifies && listener.is_none() {
        bail!("linux.seccomp.listenerPath: is needed by SCMP_ACT_NOTIFY");
    }
    Ok(Box::new(Record {
        format: crate::state::FORMAT.to_owned(),
        id: request.id.to_string(),
        bundle: decided.bundle.dir.clone(),
        config: decided.bundle.config_file.clone(),
        engine: decided.choice.engine,
        rootfs: parent.rootfs.clone(),
        created: humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string(),
        owner: decided.caller.euid,
        rootless: !decided.caller.privileged || !decided.caller.initial_user_namespace,
        init: None,
        cgroup: decided.cgroup.record()?,
        limits: decided.cgroup.limits.clone(),
        spec,
        namespaces: parent.kinds,
        shared_pid_namespace: parent.shared_pid,
        uid_mappings: parent.maps.uid.clone(),
        gid_mappings: parent.maps.gid.clone(),
        id_range: id_range.clone(),
        own_ids: own_ids.clone(),
        categories: categories.as_ref().map(|taken| taken.file.clone()),
        keyring: parent.keyring.clone(),
        seccomp: parent
            .filters
            .iter()
            .map(|f| SeccompRecord { bytes: f.program.len(), flags: f.flags })
            .collect(),
        seccomp_listener: listener,
        notify_socket: notify::host_socket(),
    }))
}
