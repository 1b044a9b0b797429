//! Hooks: they run with the runtime's privileges, so what is ambiguous about them is refused.

use super::process::environment;
use crate::spec::{Hook, Hooks, SpecError};

pub(super) fn check(hooks: &Hooks) -> Result<(), SpecError> {
    for (kind, list) in hooks.kinds() {
        for (i, hook) in list.iter().enumerate() {
            one(hook).map_err(|(field, message)| {
                SpecError::new(format!("hooks.{kind}[{i}]{field}"), message)
            })?;
        }
    }
    Ok(())
}

fn one(hook: &Hook) -> Result<(), (String, String)> {
    if !hook.path.starts_with('/') {
        return Err((".path".to_owned(), format!("{:?} is not an absolute path", hook.path)));
    }
    if let Some(seconds) = hook.timeout.filter(|seconds| *seconds <= 0) {
        return Err((".timeout".to_owned(), format!("{seconds} is not greater than 0")));
    }
    match hook.env.as_deref().and_then(environment) {
        Some((i, message)) => Err((format!(".env[{i}]"), message)),
        None => Ok(()),
    }
}
