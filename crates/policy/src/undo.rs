//! Values that can be put back.

use std::ops::{Deref, DerefMut};

/// A value that, while it is watched, is copied before somebody first changes it: to look at a configuration takes no copy,
/// which for an engine's, with hundreds of system calls by name, costs more than all rules together.
#[derive(Debug)]
pub(crate) struct Undoable<T> {
    value: T,
    watched: bool,
    before: Option<Box<T>>,
}

impl<T> Undoable<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value, watched: false, before: None }
    }

    /// From here on, keep what was before.
    pub(crate) fn watch(&mut self) {
        self.watched = true;
    }

    /// Be again what it was at [`Undoable::watch`], and do not watch any more.
    pub(crate) fn undo(&mut self) {
        self.watched = false;
        if let Some(before) = self.before.take() {
            self.value = *before;
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Undoable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Clone> DerefMut for Undoable<T> {
    fn deref_mut(&mut self) -> &mut T {
        if self.watched && self.before.is_none() {
            self.before = Some(Box::new(self.value.clone()));
        }
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_while_watched_is_undone_and_nothing_else() {
        let mut list = Undoable::new(vec![1]);
        list.push(2);
        list.watch();
        assert_eq!(list.len(), 2);
        assert!(list.before.is_none(), "to look at it takes no copy");
        list.push(3);
        list.clear();
        list.undo();
        assert_eq!(*list, [1, 2]);
        list.push(4);
        list.undo();
        assert_eq!(list.into_inner(), [1, 2, 4]);
    }
}
