//! Tests that this machine cannot run: they say why, on standard error past the test runner's capture, and are counted.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Say that a test is skipped, and why.
pub fn note(test: &str, reason: &str) {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let line = format!("SKIPPED ({count} so far) {test}: {reason}\n");
    // Not eprintln!, which the runner would swallow for a test that passes.
    drop(std::io::stderr().write_all(line.as_bytes()));
}

/// Return from a test that this machine cannot run: `requires!(root)`, `requires!(program "python3")`,
/// `requires!(cond, "what is missing")`.
#[macro_export]
macro_rules! requires {
    (root) => {
        $crate::requires!($crate::host::is_root(), "needs root")
    };
    (program $name:expr) => {
        $crate::requires!($crate::host::find_program($name).is_some(), concat!("needs ", $name))
    };
    ($condition:expr, $reason:expr) => {
        if !$condition {
            let test = std::thread::current();
            $crate::skip::note(test.name().unwrap_or(module_path!()), $reason);
            return;
        }
    };
}
