//! Where a bundle lies, for what the policy concludes from that: which engine made it.

use crate::decide::bundle::Bundle;
use crate::decide::caller::Caller;
use anyhow::Result;
use casemate_policy::spec::{Spec, Warning};
use casemate_policy::{Engine, Origin};
use casemate_sandbox::trust::Owners;
use rustix::fd::OwnedFd;

/// The directory of a bundle as far as it proves anything, and why it does not where others than root and the caller could
/// have put the configuration there.
pub(crate) struct Place {
    bundle: String,
    doubt: Option<String>,
}

impl Place {
    /// Looks at the way to the configuration, where the annotations are such that it matters.
    ///
    /// # Errors
    /// The path without links cannot be told.
    pub(crate) fn of(
        bundle: &Bundle,
        spec: &Spec,
        caller: &Caller,
        proc: &OwnedFd,
    ) -> Result<Self> {
        if spec.annotations.is_empty() {
            return Ok(Self { bundle: String::new(), doubt: None });
        }
        let doubt = match &bundle.config_file {
            // Engines name none.
            Some(file) => Some(format!("{} is not config.json of the bundle", file.display())),
            None => {
                let owners = Owners { euid: caller.euid, initial: caller.initial_user_namespace };
                owners.trust(&bundle.dir.join("config.json")).err()
            }
        };
        let bundle = match doubt {
            Some(_) => String::new(),
            None => crate::decide::facts::real(&bundle.dir, proc)?,
        };
        Ok(Self { bundle, doubt })
    }

    /// The same for a container with that id.
    pub(crate) fn origin<'a>(&'a self, id: &'a str) -> Origin<'a> {
        Origin { id, bundle: &self.bundle }
    }

    /// Why a configuration that has the signs of an engine of Kubernetes is not taken for one that it has made.
    pub(crate) fn doubt(&self, spec: &Spec, id: &str) -> Option<Warning> {
        let cgroup = spec.linux.cgroups_path.as_deref();
        // Signs of two engines were an error, or the profile asks nobody who it was.
        let Ok(Some(claimed)) = Engine::claimed(&spec.annotations, cgroup) else { return None };
        if Engine::of(&spec.annotations, cgroup, self.origin(id)) == Ok(Some(claimed)) {
            return None;
        }
        let why = self.doubt.clone().unwrap_or_else(|| {
            format!("{claimed} keeps the bundle of {id} elsewhere, or calls its cgroup otherwise")
        });
        let message = format!(
            "those of {claimed}, which is not known to have made this: {why}; judged as what nobody knows the maker of, so that rules of \
             the node's policy for a namespace, an image or an annotation count as far as they are stricter"
        );
        Some(Warning { path: "annotations".to_owned(), message })
    }
}
