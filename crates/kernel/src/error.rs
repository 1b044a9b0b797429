//! A text of the kernel's that does not have the form that its man page gives.

use std::fmt;

/// Which text, and what in it was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    what: &'static str,
    text: String,
}

/// How much of a text a message repeats, in bytes.
const SHOWN: usize = 120;

impl ParseError {
    /// `what`: the file as its man page calls it; `text`: the line.
    #[must_use]
    pub fn new(what: &'static str, text: &[u8]) -> Self {
        let cut = &text[..text.len().min(SHOWN)];
        Self { what, text: String::from_utf8_lossy(cut).into_owned() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: unexpected text {:?}", self.what, self.text)
    }
}

impl std::error::Error for ParseError {}
