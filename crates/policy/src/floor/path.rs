//! Places of mounts as text, and what lies below which.

use casemate_kernel::mountinfo::{unescape, Mount};
use casemate_kernel::path;
use std::borrow::Cow;

/// Where a mount is, without escapes. Bytes that are no UTF-8 are replaced: no place that is looked for has any.
pub(super) fn point<'m>(mount: &Mount<'m>) -> Cow<'m, str> {
    text(mount.point)
}

/// What of its file system a mount shows, likewise.
pub(super) fn root<'m>(mount: &Mount<'m>) -> Cow<'m, str> {
    text(mount.root)
}

fn text(field: &[u8]) -> Cow<'_, str> {
    match unescape(field) {
        // Nearly every one, and told at once.
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        },
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// [`path::without_slash`] of text.
pub(super) fn without_slash(path: &str) -> &str {
    // Mostly nothing is to be trimmed, and one byte tells.
    match path.as_bytes() {
        [.., b'/'] => path.trim_end_matches('/'),
        _ => path,
    }
}

/// True when `path` is `place` or lies below it.
pub(super) fn is_within(path: &str, place: &str) -> bool {
    path::is_within(path.as_bytes(), place.as_bytes())
}

/// Nothing can be written through this mount.
pub(super) fn is_read_only(mount: &Mount<'_>) -> bool {
    // The kernel begins both lists with it (show_mountinfo()).
    let begins = |options: &[u8]| matches!(options, b"ro" | [b'r', b'o', b',', ..]);
    begins(mount.options.as_bytes()) || begins(mount.super_options)
}

/// The mount that `/` is.
pub(super) fn is_root(mount: &Mount<'_>) -> bool {
    mount.point == b"/"
}
