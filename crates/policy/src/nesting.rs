//! How many lists and tables a TOML text opens, told before the text is given to its reader. That one has a limit for how deep
//! they lie in each other, which some malformed texts get past: its stack ends then, and with it the process, without a word.

/// More than the files of a node have, and fewer than use up the usual stack of 8 MiB, at 1.2 KiB for each. All are counted, in strings and behind
/// what closes them, too: where a malformed text has strings and what it closes is for its reader to say.
const MOST: usize = 4000;

/// Where the text, by its bytes, opens more than its reader may be given; `None`: nowhere.
#[must_use]
pub fn too_many(text: &str) -> Option<usize> {
    let opens = |(_, byte): &(usize, u8)| matches!(byte, b'[' | b'{');
    text.bytes().enumerate().filter(opens).nth(MOST).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_open_four_thousand_lists_and_tables() {
        assert_eq!(too_many(&"[a]\n".repeat(4000)), None);
        assert_eq!(too_many(&"[a]\n".repeat(4001)), Some(16_000));
    }

    /// Found by tests/fuzz: this ended the process by SIGSEGV.
    #[test]
    fn a_malformed_text_that_lies_deep_is_an_error_with_its_place() {
        for piece in ["\"k\" / = [1], a = {", "a.b /\", u = [\"], n = {"] {
            let text = format!("\nx = {{{}", piece.repeat(100_000));
            let error = crate::NodePolicy::default().add("policy.toml", &text).unwrap_err();
            assert!(error.to_string().starts_with("policy.toml:2: "), "{error}");
            let error = crate::AuditPolicy::is_in("policy.toml", &text).unwrap_err();
            assert!(error.to_string().contains("more than 4000"), "{error}");
        }
    }
}
