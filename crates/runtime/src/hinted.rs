//! Errors that say what to do about them, in a form that nobody has to find in a text.

use casemate_cgroup::Error as CgroupError;
use casemate_policy::PolicyError;
use casemate_sandbox::Failure;
use std::error::Error;
use std::fmt;

/// An error with a hint.
#[derive(Debug)]
pub struct Hinted {
    message: String,
    hint: String,
    source: Option<anyhow::Error>,
}

impl Hinted {
    /// `message` says what is wrong, `hint` what to do about it.
    #[must_use]
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), source: None }
    }

    /// The same, caused by `source`.
    #[must_use]
    pub fn because(self, source: impl Into<anyhow::Error>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

/// For those who get the whole error as one text, such as the audit log.
impl fmt::Display for Hinted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (hint: {})", self.message, self.hint)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// An error of a message and a hint.
pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted::new(message, hint).into()
}

/// A value that cannot be meant, in a whole sentence. Callers know these sentences from runc, so the
/// flag is not named in front of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Invalid {
    /// Without a hint.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(out, " (hint: {hint})"))
    }
}

impl Error for Invalid {}

/// What one link of a chain of errors says and what it hints at, if it is of a type that can have a hint.
#[must_use]
pub fn parts(link: &(dyn Error + 'static)) -> Option<(String, Option<String>)> {
    if let Some(Hinted { message, hint, .. }) = link.downcast_ref() {
        return Some((message.clone(), Some(hint.clone())));
    }
    if let Some(Invalid { message, hint }) = link.downcast_ref() {
        return Some((message.clone(), hint.clone()));
    }
    if let Some(Failure { message, hint, .. }) = link.downcast_ref() {
        return Some((message.clone(), hint.clone()));
    }
    if let Some(error) = link.downcast_ref::<PolicyError>() {
        return Some((error.message().to_owned(), error.hint().map(ToOwned::to_owned)));
    }
    let error = link.downcast_ref::<CgroupError>()?;
    Some((error.message(), error.hint()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stays_beside_its_message_and_the_cause_below_it() {
        let io = std::io::Error::from_raw_os_error(2);
        let error = anyhow::Error::new(Hinted::new("open /x", "make it").because(io));
        let all: Vec<_> = error.chain().map(parts).collect();
        assert_eq!(all[0], Some(("open /x".to_owned(), Some("make it".to_owned()))));
        assert_eq!(all.len(), 2);
        assert!(error.chain().nth(1).unwrap().downcast_ref::<std::io::Error>().is_some());
        assert!(format!("{error:#}").starts_with("open /x (hint: make it): No such file"));
    }

    #[test]
    fn every_type_with_a_hint_is_known() {
        let failure = Failure::new("mount", "no").with_hint("yes");
        let invalid = Invalid::new("no").with_hint("yes");
        for error in [anyhow::Error::new(failure), invalid.into(), hinted("no", "yes")] {
            let found = error.chain().next().and_then(parts);
            assert_eq!(found, Some(("no".to_owned(), Some("yes".to_owned()))));
            assert_eq!(format!("{:#}", error.context("x")), "x: no (hint: yes)");
        }
    }
}
