//! The answer to `--version`.
//!
//! Docker looks for the one line that holds the word "version" and for `commit: `; no other line may
//! hold that word.

/// This release.
pub(crate) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The release of the runtime specification that is implemented.
pub(crate) const SPECIFICATION: &str = "1.3.0";

const COMMIT: &str = env!("CASEMATE_COMMIT_ID");

/// The whole text.
pub(crate) fn text() -> String {
    let arch = std::env::consts::ARCH;
    format!("casemate version {RELEASE}\ncommit: {COMMIT}\nspec: {SPECIFICATION}\narch: {arch}\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_first_line_says_version() {
        let text = super::text();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("casemate version "));
        assert!(lines.clone().all(|line| !line.contains("version")), "{text}");
        assert!(lines.any(|line| line.starts_with("commit: ")), "{text}");
    }
}
