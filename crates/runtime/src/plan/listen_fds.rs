//! Socket activation (sd_listen_fds(3)): descriptors that the service manager passed to us and means for the payload.

/// How many descriptors from 3 on were passed to this very process, or `to_anybody`: to whoever comes, without LISTEN_PID.
pub(crate) fn count(to_anybody: bool) -> u32 {
    // Without numbers in them the variables name no descriptors (sd_listen_fds(3)).
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let meant = match std::env::var_os("LISTEN_PID") {
        Some(_) => number("LISTEN_PID") == Some(std::process::id()),
        // Without the pid a forgotten variable would widen what the payload inherits.
        None => to_anybody,
    };
    number("LISTEN_FDS").filter(|_| meant).unwrap_or(0)
}

/// What the payload is told about `count` of them; it is process 1 of its namespace.
pub(crate) fn environment(count: u32) -> Vec<String> {
    match count {
        0 => Vec::new(),
        n => vec![format!("LISTEN_FDS={n}"), "LISTEN_PID=1".to_owned()],
    }
}
