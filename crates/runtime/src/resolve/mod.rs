//! What only the host can decide for a container: its ids, its SELinux categories, the profile in the kernel, and from
//! which layers its root can be put together again.

pub(crate) mod apparmor;
pub mod ids;
pub(crate) mod overlay;
pub(crate) mod pool;
pub(crate) mod selinux;
pub(crate) mod userns;

use crate::decide::Decided;
use crate::undo::Undo;
use crate::unmappable::Unmappable;
use anyhow::Result;
use std::path::Path;

/// What was decided, with what the host gave for it.
pub(crate) struct Resolved {
    /// The hardened configuration has ids and label by now.
    pub(crate) decided: Box<Decided>,
    /// The file that keeps the range of host ids that was taken for the container.
    pub(crate) id_range: Option<String>,
    /// The file that keeps ids which the configuration brings itself.
    pub(crate) own_ids: Option<String>,
    /// The SELinux categories that were taken for the container.
    pub(crate) categories: Option<Categories>,
}

/// A pair of SELinux categories.
pub(crate) struct Categories {
    /// As a label has them.
    pub(crate) text: String,
    /// The file that keeps them.
    pub(crate) file: String,
}

/// Takes what the container is to have, before the plan is made, because the plan needs it. `state` is where its state
/// directory will be. Each lock is held until the container stands: it says that somebody is at work.
///
/// # Errors
/// Nothing is free; the files of the pools.
pub(crate) fn resolve(
    mut decided: Box<Decided>,
    id: &str,
    state: &Path,
    undo: &mut Undo,
) -> Result<Resolved> {
    let categories = selinux::take(&decided, id, state.to_owned())?.map(|lease| {
        let taken = Categories { text: lease.resource.to_string(), file: lease.name.clone() };
        undo.push("SELinux categories", move || selinux::give_back(lease));
        taken
    });
    selinux::assign(&mut decided, categories.as_ref().map(|taken| taken.text.as_str()));
    let own_ids = userns::keep(&decided, id, state.to_owned())?.map(|kept| {
        let name = kept.name.clone();
        undo.push("ids of the configuration", move || userns::give_up(kept));
        name
    });
    // The last, so that it can be given back while the rest stays.
    let id_range = userns::provide(&mut decided, id, state.to_owned())?.map(|lease| {
        let name = lease.name.clone();
        undo.push("id range", move || userns::give_back(lease));
        name
    });
    Ok(Resolved { decided, id_range, own_ids, categories })
}

impl Resolved {
    /// The same container with the host's ids, where its files cannot be shown with others: decided once more.
    ///
    /// # Errors
    /// The profile does not run it without; the range cannot be given back.
    pub(crate) fn without_user_namespace(self, why: &Unmappable, undo: &mut Undo) -> Result<Self> {
        if self.id_range.is_some() {
            undo.take_back_last()?;
        }
        let mut decided = self.decided.without_user_namespace(why)?;
        selinux::assign(&mut decided, self.categories.as_ref().map(|taken| taken.text.as_str()));
        decided.note_conflicts()?;
        Ok(Self { decided, id_range: None, ..self })
    }
}
