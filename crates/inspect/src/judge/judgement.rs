//! What was found about one control.

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The aim holds; `None`: cannot be told from there.
    pub holds: Option<bool>,
    /// What to show, in a few words.
    pub shown: String,
}

impl Judgement {
    pub(super) fn new(holds: bool, shown: impl Into<String>) -> Self {
        Self { holds: Some(holds), shown: shown.into() }
    }

    pub(super) fn unseen(shown: impl Into<String>) -> Self {
        Self { holds: None, shown: shown.into() }
    }
}

/// The first few of a list, and how many more there are.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let head = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".to_owned(),
        n if n <= SHOWN => head,
        n => format!("{head} and {} more", n - SHOWN),
    }
}
