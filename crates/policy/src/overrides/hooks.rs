//! The hooks that a node's policy lists: which program, and what it is told beside its arguments.
//!
//! A digest pins a program and not what its environment makes of it: LD_PRELOAD, BASH_ENV,
//! PYTHONPATH, a PATH of somebody's. So a listed hook gets the variables that its entry names, and
//! without such a list those that only say how to show text.

use crate::facts::HookFile;
use serde::{Deserialize, Serialize};

/// Directories of programs that only root writes: what is left of a PATH.
const SYSTEM_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A hook that a node's policy knows: its path, or a table with path, digest and environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "HookText")]
pub struct AllowedHook {
    /// Absolute, as the configuration names it or as the program is found.
    pub path: String,
    /// What the file holds, 64 hexadecimal digits; `None`: anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The variables that it may be given: `NAME`, with any value, or `NAME=VALUE`, with that one.
    /// `None`: those that cannot change what code runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a path, or a table with `path`, `sha256` and `env`")]
enum HookText {
    Path(String),
    Table(HookTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HookTable {
    path: String,
    sha256: Option<String>,
    env: Option<Vec<String>>,
}

impl TryFrom<HookText> for AllowedHook {
    type Error = String;

    fn try_from(text: HookText) -> Result<Self, String> {
        const DIGITS: usize = 64;
        let HookTable { path, sha256, env } = match text {
            HookText::Path(path) => HookTable { path, sha256: None, env: None },
            HookText::Table(table) => table,
        };
        if !path.starts_with('/') {
            return Err(format!("the path of a hook is absolute, {path:?} is not"));
        }
        if let Some(wrong) = env.iter().flatten().find(|text| !is_variable(text)) {
            return Err(format!("env of {path}: {wrong:?} is neither NAME nor NAME=VALUE"));
        }
        let sha256 = sha256.map(|digest| digest.to_ascii_lowercase());
        let is_digest = |digest: &String| {
            digest.len() == DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        match sha256.as_ref().is_none_or(is_digest) {
            true => Ok(Self { path, sha256, env }),
            false => Err(format!("sha256 of {path} is {DIGITS} hexadecimal digits")),
        }
    }
}

fn is_variable(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(known) && !text.contains('\0')
}

impl AllowedHook {
    /// Whether a hook of this path is the one, as far as the path says. dockerd names itself by its
    /// process: what that leads to counts as well.
    pub(crate) fn is_named(&self, path: &str, file: &HookFile) -> bool {
        self.path == path || self.path == file.path
    }

    /// Whether the file holds what the entry says.
    pub(crate) fn holds(&self, file: &HookFile) -> bool {
        self.sha256.is_none() || self.sha256 == file.sha256
    }

    /// What the hook gets of a variable of the configuration, `NAME=VALUE`; `None`: nothing.
    pub(crate) fn passes(&self, variable: &str) -> Option<String> {
        let (name, value) = variable.split_once('=')?;
        match &self.env {
            Some(list) => {
                let listed = list.iter().any(|known| known == name || known == variable);
                listed.then(|| variable.to_owned())
            }
            None if name == "PATH" => {
                let known = |dir: &&str| SYSTEM_PATH.contains(dir);
                let left: Vec<&str> = value.split(':').filter(known).collect();
                let left = if left.is_empty() { SYSTEM_PATH.to_vec() } else { left };
                Some(format!("PATH={}", left.join(":")))
            }
            None => (is_of_text(name) && value.bytes().all(is_plain)).then(|| variable.to_owned()),
        }
    }
}

/// Variables that say in which language and for which terminal text is meant.
fn is_of_text(name: &str) -> bool {
    matches!(name, "LANG" | "LANGUAGE" | "TERM" | "NO_COLOR") || name.starts_with("LC_")
}

/// No path, and no list of paths.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._@-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(env: Option<&[&str]>, variable: &str) -> Option<String> {
        let env = env.map(|list| list.iter().map(|text| (*text).to_owned()).collect());
        AllowedHook { path: "/hook".to_owned(), sha256: None, env }.passes(variable)
    }

    #[test]
    fn without_a_list_nothing_that_chooses_code_is_passed() {
        for variable in [
            "LD_PRELOAD=/tmp/x.so",
            "LD_LIBRARY_PATH=/tmp",
            "GCONV_PATH=/tmp",
            "LOCPATH=/tmp",
            "BASH_ENV=/tmp/x",
            "ENV=/tmp/x",
            "PYTHONPATH=/tmp",
            "PERL5OPT=-Mx",
            "NODE_OPTIONS=-r/tmp/x",
            "HOME=/tmp",
            "IFS=x",
            "LANG=../../tmp/x",
            "LC_ALL=/tmp",
            "BASH_FUNC_ls%%=() { :; }",
            "LD_PRELOAD",
            "=x",
            "",
        ] {
            assert_eq!(passed(None, variable), None, "{variable}");
        }
        for variable in ["LANG=de_DE.UTF-8", "LC_ALL=C", "TERM=xterm-256color", "NO_COLOR=1"] {
            assert_eq!(passed(None, variable).as_deref(), Some(variable));
        }
    }

    #[test]
    fn a_path_keeps_the_directories_of_the_system() {
        let path = |text: &str| passed(None, text).unwrap_or_default();
        assert_eq!(path("PATH=/tmp:/usr/bin::.:/bin"), "PATH=/usr/bin:/bin");
        assert_eq!(path("PATH=/tmp"), format!("PATH={}", SYSTEM_PATH.join(":")));
    }

    #[test]
    fn a_list_names_what_is_passed_and_with_which_value() {
        let list = Some(&["LD_PRELOAD", "MODE=quiet"][..]);
        assert_eq!(passed(list, "LD_PRELOAD=/x").as_deref(), Some("LD_PRELOAD=/x"));
        assert_eq!(passed(list, "MODE=quiet").as_deref(), Some("MODE=quiet"));
        for variable in ["MODE=loud", "MODE", "LANG=C", "PATH=/usr/bin"] {
            assert_eq!(passed(list, variable), None, "{variable}");
        }
    }
}
