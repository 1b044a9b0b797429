//! What the types alone cannot rule out: impossible combinations and values out of range.

use crate::spec::{Process, Resources, Spec, SpecError, Warning};

pub(crate) fn spec(_spec: &Spec) -> Result<Vec<Warning>, SpecError> {
    Ok(Vec::new())
}

pub(crate) fn process(_process: &Process) -> Result<(), SpecError> {
    Ok(())
}

pub(crate) fn resources(_resources: &Resources) -> Result<(), SpecError> {
    Ok(())
}
