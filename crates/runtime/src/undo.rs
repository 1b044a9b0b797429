//! What to take back when making a container fails: a list, run backwards, that a success throws away.

/// How to take one step back.
type Step = Box<dyn FnOnce() -> anyhow::Result<()>>;

/// Steps to take back.
#[derive(Default)]
pub(crate) struct Undo {
    steps: Vec<(String, Step)>,
}

impl std::fmt::Debug for Undo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|(what, _)| what)).finish()
    }
}

impl Undo {
    /// Remember how to take back what was just done.
    pub(crate) fn push(
        &mut self,
        what: impl Into<String>,
        step: impl FnOnce() -> anyhow::Result<()> + 'static,
    ) {
        self.steps.push((what.into(), Box::new(step)));
    }

    /// Take back what was done last, while the rest goes on.
    ///
    /// # Errors
    /// It cannot be taken back.
    pub(crate) fn take_back_last(&mut self) -> anyhow::Result<()> {
        self.steps.pop().map_or(Ok(()), |(_, step)| step())
    }

    /// Nothing has to be taken back any more.
    pub(crate) fn commit(mut self) {
        self.steps.clear();
    }

    /// Take everything back, the last first; a step that fails does not keep the others from being tried. `error` is why;
    /// what could not be taken back is added to it.
    pub(crate) fn roll_back(mut self, error: anyhow::Error) -> anyhow::Error {
        let mut left = Vec::new();
        while let Some((what, step)) = self.steps.pop() {
            if let Err(e) = step() {
                left.push(format!("{what}: {e:#}"));
            }
        }
        if left.is_empty() {
            error
        } else {
            anyhow::anyhow!("{error:#} (and could not take back: {})", left.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn steps_are_taken_back_in_reverse_and_failures_are_all_named() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let mut undo = Undo::default();
        for n in 0..3 {
            let seen = seen.clone();
            undo.push(format!("step {n}"), move || {
                seen.borrow_mut().push(n);
                if n == 1 {
                    anyhow::bail!("stuck")
                }
                Ok(())
            });
        }
        let error = undo.roll_back(anyhow::anyhow!("first cause"));
        assert_eq!(*seen.borrow(), [2, 1, 0]);
        assert_eq!(error.to_string(), "first cause (and could not take back: step 1: stuck)");
    }
}
