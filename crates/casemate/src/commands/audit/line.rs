//! The line of a JSON pointer's target, for tools that show a finding in the file.
//!
//! It looks for the place and does not check the JSON: that has been read by then. What the file does not have stands
//! where it would be added, at the innermost object or list that is there.

/// The line, counted from 1, of what `pointer` (RFC 6901) names, or of the nearest thing around it.
pub(super) fn of_pointer(text: &str, pointer: &str) -> usize {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let mut found = 0;
    scan.blanks();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if scan.descend(&token).is_none() {
            break;
        }
        found = scan.at;
    }
    1 + text.as_bytes()[..found].iter().filter(|byte| **byte == b'\n').count()
}

/// A place in the text. Every step answers `None` where the text is not as expected.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Steps over `wanted` and the blanks behind it.
    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)?;
        self.blanks();
        Some(())
    }

    /// From the beginning of an object or a list to the member that `token` names.
    fn descend(&mut self, token: &str) -> Option<()> {
        if self.peek()? == b'{' {
            self.expect(b'{')?;
            while self.key()? != token {
                self.value()?;
                self.expect(b',')?;
            }
            return Some(());
        }
        self.expect(b'[')?;
        for _ in 0..token.parse::<usize>().ok()? {
            self.value()?;
            self.expect(b',')?;
        }
        (self.peek()? != b']').then_some(())
    }

    /// Reads a member's name, up to its value.
    fn key(&mut self) -> Option<String> {
        let begin = self.at;
        self.string()?;
        let name = serde_json::from_slice(&self.bytes[begin..self.at]).ok()?;
        self.blanks();
        self.expect(b':')?;
        Some(name)
    }

    fn string(&mut self) -> Option<()> {
        (self.peek()? == b'"').then(|| self.at += 1)?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Steps over a value and the blanks behind it.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b'}' | b']' if depth == 0 => return Some(()),
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of_pointer;

    const TEXT: &str = r#"{
  "a": {"x": "{[\",", "b~/c": [
    1,
    {"d": null},
    []
  ]},
  "e": true
}"#;

    #[test]
    fn members_are_found_where_they_stand() {
        for (pointer, line) in
            [("/a", 2), ("/a/b~0~1c/0", 3), ("/a/b~0~1c/1/d", 4), ("/a/b~0~1c/2", 5), ("/e", 7)]
        {
            assert_eq!(of_pointer(TEXT, pointer), line, "{pointer}");
        }
    }

    #[test]
    fn what_is_not_there_stands_at_the_nearest_thing_around_it() {
        for (pointer, line) in [("", 1), ("/z", 1), ("/a/z", 2), ("/a/b~0~1c/9", 2), ("/e/f", 7)] {
            assert_eq!(of_pointer(TEXT, pointer), line, "{pointer}");
        }
    }

    #[test]
    fn a_text_that_ends_too_early_or_is_no_json_is_no_trouble() {
        for end in 0..TEXT.len() {
            of_pointer(&TEXT[..end], "/a/b~0~1c/1/d");
        }
        assert_eq!(of_pointer("\\", "/a"), 1);
        assert_eq!(of_pointer("{\"\\", "/a"), 1);
    }
}
