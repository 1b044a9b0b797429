//! What a path of the host means, and what becomes of a mount.

use crate::facts::Engine;

/// The class of engines' data.
pub(super) const ENGINE_DATA: &str = "mounts.engine-data";

/// The class of the host's system.
pub(super) const SYSTEM: &str = "mounts.host-system";

/// What a path of the host means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Bound as asked for.
    Data,
    /// May be read.
    System,
    /// The host itself: the override that permits it, and the place below that makes it so.
    Host { class: &'static str, holds: Option<&'static str> },
    /// In the directory of an engine.
    Engine { engine: Engine, root: &'static str },
    /// The runtime's own.
    Own,
    /// Data, unless a package of the host's owns it.
    Packaged { class: &'static str },
}

/// What becomes of a mount, the mildest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is as asked for.
    LetIn,
    /// It may be read; the override that leaves it writable.
    ReadOnly { class: &'static str, note: String },
    /// It is of no use in a container, and is not there.
    LeftOut,
    /// It is refused, unless by this override; `None`: by none.
    Refused { class: Option<&'static str>, note: String },
}

impl Judgement {
    pub(super) fn read_only(class: &'static str, note: impl Into<String>) -> Self {
        Self::ReadOnly { class, note: note.into() }
    }

    pub(super) fn refused(class: &'static str, note: impl Into<String>) -> Self {
        Self::Refused { class: Some(class), note: note.into() }
    }

    pub(super) fn never() -> Self {
        Self::Refused { class: None, note: " (the runtime's own)".to_owned() }
    }

    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::LetIn => 0,
            Self::ReadOnly { .. } => 1,
            Self::LeftOut => 2,
            Self::Refused { class: Some(_), .. } => 3,
            Self::Refused { class: None, .. } => 4,
        }
    }

    /// The stricter of the two; of two alike, the first.
    pub(super) fn stricter(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    /// With a reason, where it has none yet.
    pub(super) fn with_note(mut self, text: impl FnOnce() -> String) -> Self {
        if let Self::ReadOnly { note, .. } | Self::Refused { note, .. } = &mut self {
            if note.is_empty() {
                *note = text();
            }
        }
        self
    }
}
