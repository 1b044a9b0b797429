//! Reads the documentation of the controls: the comment above each row, Markdown whose links are relative to docs/.
//!
//! It has parts that begin with a name in bold: **What.** **Why.** **What breaks.** **Override.** **In the profiles.**, and
//! others between them where there is more to say. A list below **Override.** says what each name lets through, one below
//! **In the profiles.** why a control does in a profile what it does there.

use casemate_policy::{Control, Mode, ProfileName, CONTROLS};
use std::collections::BTreeMap;
use std::path::Path;

const ROWS: &str = "crates/policy/src/controls";

/// What every entry has to have.
const PARTS: [&str; 5] = ["What", "Why", "What breaks", "Override", "In the profiles"];

/// The documentation of one control.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The row.
    pub(crate) control: &'static Control,
    /// Everything but the part about the profiles, as Markdown.
    pub(crate) text: String,
    /// Names of overrides as they are shown, and what they let through.
    pub(crate) overrides: Vec<(String, String)>,
    /// Why, by profile.
    reasons: BTreeMap<String, String>,
}

impl Entry {
    /// Why it does there what it does. Profiles that do the same as hardened for the same reason do not say it again.
    pub(crate) fn reason(&self, profile: ProfileName) -> &str {
        self.reasons.get(profile.as_str()).map_or("As in hardened.", String::as_str)
    }

    /// Whether the profile has a reason of its own.
    pub(crate) fn has_reason(&self, profile: ProfileName) -> bool {
        self.reasons.contains_key(profile.as_str())
    }
}

/// All, in the order of the table.
///
/// # Errors
/// A file that cannot be read; an entry that is not there, lacks a part, an override or a reason, or has one too many.
pub(crate) fn all(top: &Path) -> Result<Vec<Entry>, String> {
    let mut comments = BTreeMap::new();
    read_below(top, ROWS, &mut comments)?;
    let entry = |control: &'static Control| {
        let missing = || format!("{ROWS}: no row has `name: \"{}\"`", control.name);
        let (file, comment) = comments.get(control.name).ok_or_else(missing)?;
        parse(control, comment).map_err(|what| format!("{file}: {}: {what}", control.name))
    };
    CONTROLS.iter().map(entry).collect()
}

type Comments = BTreeMap<String, (String, String)>;

fn read_below(top: &Path, below: &str, found: &mut Comments) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("read {below}: {error}");
    for entry in std::fs::read_dir(top.join(below)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(failed)?.is_dir() {
            read_below(top, &name, found)?;
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(entry.path())
                .map_err(|error| format!("read {name}: {error}"))?;
            for (control, comment) in rows(&text) {
                found.insert(control, (name.clone(), comment));
            }
        }
    }
    Ok(())
}

/// The names of the rows of a file, with the comments above them.
fn rows(text: &str) -> Vec<(String, String)> {
    let (mut found, mut comment, mut inside) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if let Some(more) = line.strip_prefix("///") {
            comment.push_str(more.strip_prefix(' ').unwrap_or(more));
            comment.push('\n');
        } else if line.ends_with(": Control = Control {") {
            inside = true;
        } else if let Some(name) = line.trim().strip_prefix("name: \"").filter(|_| inside) {
            found.push((name.trim_end_matches("\",").to_owned(), std::mem::take(&mut comment)));
            inside = false;
        } else if !inside {
            comment.clear();
        }
    }
    found
}

fn parse(control: &'static Control, comment: &str) -> Result<Entry, String> {
    let lacking: Vec<&str> =
        PARTS.into_iter().filter(|part| !comment.contains(&format!("**{part}.**"))).collect();
    if !lacking.is_empty() {
        return Err(format!("the comment lacks {}", lacking.join(", ")));
    }
    let (text, profiles) =
        comment.split_once("**In the profiles.**").ok_or("in the profiles: not there")?;
    let overrides =
        items(part(text, "Override")).into_iter().filter(|(name, _)| name.starts_with('`'));
    let entry = Entry {
        control,
        text: text.trim_end().to_owned(),
        overrides: overrides.collect(),
        reasons: items(profiles).into_iter().collect(),
    };
    check_overrides(&entry)?;
    check_reasons(&entry)?;
    Ok(entry)
}

/// A part, up to the next one.
fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let rest = text.split_once(&format!("**{name}.**")).map_or("", |(_, rest)| rest);
    rest.split("\n\n**").next().unwrap_or_default()
}

/// Items `- name: text` of the lists in a text, each on a line of its own.
fn items(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(item) = line.strip_prefix("- ") {
            found.push(item.to_owned());
            open = true;
        } else if let Some(more) = line.strip_prefix("  ").filter(|_| open) {
            let item = found.last_mut().expect("an item is open");
            item.push(' ');
            item.push_str(more);
        } else {
            open = false;
        }
    }
    let pairs = found.iter().filter_map(|item| item.split_once(": "));
    pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// Each name of the row is said once, and no other. `family.*` is shown as `family.PART`.
fn check_overrides(entry: &Entry) -> Result<(), String> {
    let shown: Vec<&str> = entry.overrides.iter().flat_map(|(names, _)| code(names)).collect();
    let is = |shown: &str, name: &str| match name.strip_suffix('*') {
        Some(family) => shown.strip_prefix(family).is_some_and(is_placeholder),
        None => shown == name,
    };
    for name in entry.control.allow {
        let count = shown.iter().filter(|shown| is(shown, name)).count();
        if count != 1 {
            return Err(format!("the list of overrides names {name} {count} times"));
        }
    }
    let known = |shown: &&str| entry.control.allow.iter().any(|name| is(shown, name));
    match shown.iter().find(|shown| !known(shown) && !shown.starts_with('+')) {
        Some(shown) => Err(format!("the row has no override {shown}")),
        None => Ok(()),
    }
}

/// `NAME` in a name that is made of parts.
fn is_placeholder(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase())
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// hardened has a reason, and so has each profile that does something else.
fn check_reasons(entry: &Entry) -> Result<(), String> {
    let mode = |profile: ProfileName| -> Mode { entry.control.mode(profile) };
    for profile in ProfileName::ALL {
        let own = profile == ProfileName::Hardened || mode(profile) != mode(ProfileName::Hardened);
        if own && !entry.has_reason(profile) {
            return Err(format!("no reason for what it does in {profile}"));
        }
    }
    match entry.reasons.keys().find(|name| ProfileName::parse(name).is_err()) {
        Some(name) => Err(format!("there is no profile {name}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "**What.** It.\n\n**Why.** So.\n\n**What breaks.** Much.\n\n**Override.**\n\n\
        - `memory.unlimited`: no limit, of any\n  kind\n\nOr not.\n\n**In the profiles.**\n\n\
        - privileged: A.\n- baseline: B.\n- hardened: C,\n  of course.\n- restricted: D.\n";

    fn parsed(comment: &str) -> Result<Entry, String> {
        parse(Control::find("memory.limit").expect("it is there"), comment)
    }

    fn error(comment: &str) -> String {
        parsed(comment).expect_err("is complete")
    }

    #[test]
    fn an_entry_is_taken_apart() {
        let entry = parsed(GOOD).expect("is complete");
        let wanted = ("`memory.unlimited`".to_owned(), "no limit, of any kind".to_owned());
        assert_eq!(entry.overrides, [wanted]);
        assert_eq!(entry.reason(ProfileName::Hardened), "C, of course.");
        assert!(entry.text.ends_with("Or not."), "{}", entry.text);
    }

    #[test]
    fn an_entry_that_lacks_a_part_is_an_error() {
        for part in PARTS {
            let without = GOOD.replace(&format!("**{part}.**"), "");
            assert_eq!(error(&without), format!("the comment lacks {part}"));
        }
    }

    #[test]
    fn each_override_of_the_row_is_listed_once_and_no_other() {
        let none = GOOD.replace("- `memory.unlimited`", "`memory.unlimited`");
        assert_eq!(error(&none), "the list of overrides names memory.unlimited 0 times");
        let twice =
            GOOD.replace("- `memory.unlimited`", "- `memory.unlimited`, `memory.unlimited`");
        assert_eq!(error(&twice), "the list of overrides names memory.unlimited 2 times");
        let other = GOOD.replace("- `memory.unlimited`", "- `memory.unlimited`, `memory.none`");
        assert_eq!(error(&other), "the row has no override memory.none");
    }

    #[test]
    fn a_profile_that_does_something_else_than_hardened_says_why() {
        for profile in ProfileName::ALL {
            let without = GOOD.replace(&format!("- {profile}: "), "- ");
            assert_eq!(error(&without), format!("no reason for what it does in {profile}"));
        }
        assert_eq!(error(&format!("{GOOD}- hard: E.\n")), "there is no profile hard");
    }

    #[test]
    fn a_row_is_found_below_its_comment() {
        let file = "/// Of something else.\nfn other() {}\n\n/// Of the row.\n///\n/// More.\n\
            pub(crate) const ROW: Control = Control {\n    id: ControlId::Row,\n    name: \"a.row\",\n};\n";
        assert_eq!(rows(file), [("a.row".to_owned(), "Of the row.\n\nMore.\n".to_owned())]);
    }
}
