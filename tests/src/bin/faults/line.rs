//! What a command says when it does not do what it was asked for: one line that names something, and no word of the
//! language it is written in.

/// Longer than this no line is.
const LONGEST: usize = 4096;

/// What is wrong with the standard error of a command that has failed.
pub(crate) fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines != 1 {
        faults.push(format!(
            "{lines} lines of error: {:?}",
            text.chars().take(300).collect::<String>()
        ));
    }
    if text.len() > LONGEST {
        faults.push(format!("{} bytes of error", text.len()));
    }
    let words = [
        "panicked",
        "RUST_BACKTRACE",
        "Os {",
        "Error(",
        "Some(",
        "unwrap",
        ".rs:",
        "::",
        "goroutine",
    ];
    if let Some(word) = words.iter().find(|word| text.contains(**word)) {
        faults.push(format!("an error with {word:?}: {:?}", text.trim()));
    }
    // Engines look for some texts, such as "container does not exist"; these name what they are about by their words.
    let message = text.split("msg=").nth(1).unwrap_or(text);
    if lines == 1 && message.split_whitespace().count() < 3 {
        faults.push(format!("an error that names nothing: {:?}", text.trim()));
    }
    faults
}
