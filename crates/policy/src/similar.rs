//! What somebody may have meant who wrote a name that nobody knows.

/// The known name that differs the least: by one slip of the hand in a short one, by two in others.
#[must_use]
pub fn nearest<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    const SHORT: usize = 4;
    let most = if name.len() <= SHORT { 1 } else { 2 };
    let near = known.into_iter().map(|known| (slips(name, known.as_ref()), known));
    let near = near.filter(|(slips, _)| (1..=most).contains(slips));
    near.min_by(|a, b| (a.0, a.1.as_ref()).cmp(&(b.0, b.1.as_ref()))).map(|(_, known)| known)
}

/// How many letters are added, left out, other ones, or have changed places with the next one (Damerau, restricted).
fn slips(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let first: Vec<usize> = (0..=other.len()).collect();
    let mut rows = (Vec::new(), first);
    for (index, letter) in one.iter().enumerate() {
        let (before, last) = rows;
        let mut row = vec![index + 1];
        for (column, wanted) in other.iter().enumerate() {
            let kept = last[column] + usize::from(letter != wanted);
            let mut least = kept.min(last[column + 1] + 1).min(row[column] + 1);
            let is_swap = index > 0
                && column > 0
                && one[index - 1] == *wanted
                && *letter == other[column - 1];
            if is_swap {
                least = least.min(before[column - 1] + 1);
            }
            row.push(least);
        }
        rows = (last, row);
    }
    rows.1[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_changed_places_are_one_slip() {
        assert_eq!(
            nearest("devices.tnu", ["devices.gpu", "devices.kvm", "devices.tun"]),
            Some("devices.tun")
        );
        assert_eq!(nearest("rnu", ["ps", "run", "kill"]), Some("run"));
        assert_eq!(nearest("TRM", ["HUP", "TERM", "TRAP"]), Some("TERM"));
    }

    #[test]
    fn a_name_that_is_known_or_too_far_away_is_none() {
        assert_eq!(nearest("run", ["run"]), None);
        assert_eq!(nearest("abc", ["xyz", "ps"]), None);
        assert_eq!(nearest("", ["ps"]), None);
    }
}
