//! Socket activation (sd_listen_fds(3)): descriptors that the service manager passed to us and means for the payload.

/// How many descriptors from 3 on were passed to this very process.
pub fn count() -> u32 {
    // Without numbers in them the variables name no descriptors (sd_listen_fds(3)).
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    // Without the pid check a forgotten variable would widen what the payload inherits.
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count)) if pid == std::process::id() => count,
        _ => 0,
    }
}

/// What the payload is told; it is process 1 of its namespace.
pub fn environment() -> Vec<String> {
    match count() {
        0 => Vec::new(),
        n => vec![format!("LISTEN_FDS={n}"), "LISTEN_PID=1".to_owned()],
    }
}
