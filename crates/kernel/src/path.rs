//! What lies in which place, by the text of absolute, normalised paths. A name is whole: `/run2` is not in `/run`.

/// What follows behind `place` in `path`: nothing, or what begins with `/`. `None`: it lies elsewhere. All lies in `/`.
#[must_use]
pub fn inside<'p>(path: &'p [u8], place: &[u8]) -> Option<&'p [u8]> {
    let place = without_slash(place);
    // Asked of each path with each place there is, and most are elsewhere: one byte tells before all are compared.
    match path.get(place.len()) {
        None if path.len() < place.len() => None,
        Some(byte) if *byte != b'/' => None,
        _ => path.strip_prefix(place),
    }
}

/// True when `path` is `place` or lies in it.
#[must_use]
pub fn is_within(path: &[u8], place: &[u8]) -> bool {
    inside(path, place).is_some()
}

/// A directory's name as what lies in it continues it: `/` is the empty one.
#[must_use]
pub fn without_slash(mut path: &[u8]) -> &[u8] {
    while let [rest @ .., b'/'] = path {
        path = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_contains_itself_and_whole_names_below_it() {
        for (path, place, rest) in [
            ("/run", "/run", Some("")),
            ("/run/", "/run", Some("/")),
            ("/run/a/b", "/run", Some("/a/b")),
            ("/run/a", "/run//", Some("/a")),
            ("/run2", "/run", None),
            ("/ru", "/run", None),
            ("/", "/run", None),
            ("/var/a", "/run/a", None),
            ("/", "/", Some("/")),
            ("/a", "/", Some("/a")),
            ("", "/", Some("")),
        ] {
            let found = inside(path.as_bytes(), place.as_bytes());
            assert_eq!(found, rest.map(str::as_bytes), "{path} in {place}");
        }
    }
}
