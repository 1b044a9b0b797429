//! What went wrong and fails nothing: kept until whoever runs the command asks, for the caller's log. Nothing is printed here.

use std::sync::Mutex;

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What was added since this was asked last, in order.
pub fn take() -> Vec<String> {
    // A thread that panicked with the lock has ended the program.
    WARNINGS.lock().map(|mut list| std::mem::take(&mut *list)).unwrap_or_default()
}

/// Adds a warning. What was said already is not said again.
pub(crate) fn add(warning: String) {
    if let Ok(mut list) = WARNINGS.lock() {
        if !list.contains(&warning) {
            list.push(warning);
        }
    }
}
