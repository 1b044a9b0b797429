//! Whether the kernel can be asked to record what filters refuse ([`casemate_policy::AuditPolicy::denials`]).

use crate::hinted::hinted;
use anyhow::Result;
use casemate_sys::kaudit::{self, Failure, Status};

/// Whether a container of this caller may be made with a filter that has its refusals recorded. Who may not ask gets none, with a
/// warning: the record is for whoever runs the host, and takes nothing away from the filter.
///
/// # Errors
/// A container could stop the machine: the kernel is set to do that when a record is lost, and takes as many as there are.
pub(crate) fn can_be_recorded() -> Result<bool> {
    match kaudit::status() {
        Ok(Status { failure: Failure::Panic, rate_limit: 0 }) => Err(hinted(
            "[audit] denials: the kernel stops the machine when it loses an audit record, and has no limit for how many there may be",
            "auditctl -r 100 sets one, auditctl -f 1 lets it print instead",
        )),
        Ok(_) => Ok(true),
        // EPERM and ECONNREFUSED of the kernel, and whatever a filter around us says (engines' say EINVAL).
        Err(error) => {
            crate::warnings::add(format!(
                "[audit] denials: what the filter refuses is not recorded: {error}"
            ));
            Ok(false)
        }
    }
}
