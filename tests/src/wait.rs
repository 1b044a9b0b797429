//! Waiting for a condition, as long as a busy machine needs: the one place where tests wait for what has no event of its
//! own. It stops short of judging: a condition that never comes is a panic that says what was seen instead.

use std::time::{Duration, Instant};

/// How long a condition may take to come. It comes at once on an idle machine; a machine that builds and runs other
/// tests beside may need seconds. Only a failing test ever waits this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Wait until `check` has a value. `Err` is what it saw instead, for the report.
///
/// # Panics
/// With `what` and the last that was seen, if it does not come within [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, mut check: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        // The time is taken before the look: a thread that was kept waiting in between has looked late enough.
        let late = begun.elapsed() > PATIENCE;
        match check() {
            Ok(value) => return value,
            Err(seen) if late => panic!("{what}: not within {PATIENCE:?}; seen: {seen}"),
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Wait until a file holds `wanted`, and nothing else; a file that is not there yet is waited for as well.
///
/// # Panics
/// As [`until`].
#[track_caller]
pub fn for_content(file: &std::path::Path, wanted: &str) {
    until(&format!("{} holds {wanted:?}", file.display()), || {
        let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
        equal(&text.as_str(), &wanted)
    });
}

/// For [`until`]: two values are equal, or what the first one is.
///
/// # Errors
/// The first value, as text.
pub fn equal<T: PartialEq + std::fmt::Debug>(seen: &T, wanted: &T) -> Result<(), String> {
    (seen == wanted).then_some(()).ok_or_else(|| format!("{seen:?}"))
}
