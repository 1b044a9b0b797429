//! The words of a line, and the lines of a text.

/// What lies between the separators.
pub(crate) fn words(text: &[u8], separator: u8) -> Words<'_> {
    Words { rest: Some(text), separator }
}

/// As `slice::Split`, which the size for which this workspace is compiled leaves in pieces: tables are read at each start.
pub(crate) struct Words<'t> {
    rest: Option<&'t [u8]>,
    separator: u8,
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let text = self.rest?;
        let mut end = 0;
        while end < text.len() && text[end] != self.separator {
            end += 1;
        }
        self.rest = text.get(end + 1..);
        text.get(..end)
    }
}
