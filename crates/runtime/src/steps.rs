//! What a command is doing, for `--debug`: told at once to whoever listens, so that the last step that was told is the one that
//! a command hangs in. Nothing is printed here, and nothing of a configuration's values is told: they may hold secrets.

use std::sync::OnceLock;

/// Takes one step.
pub type Listener = Box<dyn Fn(&str) + Send + Sync>;

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Tells `listener` every step from now on.
pub fn listen(listener: Listener) {
    // Who listens already goes on; there is one command in a process.
    let _second = LISTENER.set(listener);
}

/// Tells a step, which is put into words only where somebody listens.
pub(crate) fn tell(step: impl FnOnce() -> String) {
    if let Some(listener) = LISTENER.get() {
        listener(&step());
    }
}
