//! The structure that docs/develop/ARCHITECTURE.md promises: which crate may use which, and what a crate must not do. It reads
//! `cargo metadata` and the sources, and runs nothing.

mod circles;
mod modules;
mod sizes;
mod text;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each crate may use of the project, besides itself.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("casemate-kernel", &[]),
    ("casemate", &["casemate-boot", "casemate-inspect", "casemate-runtime", "casemate-sys"]),
    ("casemate-boot", &["casemate-sys"]),
    (
        "casemate-inspect",
        &[
            "casemate-boot",
            "casemate-runtime",
            "casemate-policy",
            "casemate-cgroup",
            "casemate-seccomp",
            "casemate-kernel",
            "casemate-sys",
        ],
    ),
    (
        "casemate-runtime",
        &[
            "casemate-boot",
            "casemate-sandbox",
            "casemate-policy",
            "casemate-cgroup",
            "casemate-seccomp",
            "casemate-kernel",
            "casemate-sys",
        ],
    ),
    ("casemate-sandbox", &["casemate-kernel", "casemate-sys"]),
    ("casemate-cgroup", &["casemate-kernel", "casemate-sys"]),
    ("casemate-policy", &["casemate-kernel"]),
    ("casemate-seccomp", &[]),
    ("casemate-sys", &[]),
];

/// The three crates that do no input or output, and what would be some. `std::os` gives descriptors and raw errors.
const IMPURE: [&str; 11] = [
    "std::fs",
    "std::env",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "Instant::now",
    "SystemTime",
    "rustix::",
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The project's own dependencies of each package, test-only ones left out.
fn own_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(top());
    let out = casemate_tests::programs::output(&mut cargo).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (name(package), used_by(package))).collect()
}

fn used_by(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| dependency["kind"] != "dev")
        .map(name)
        .filter(|name| name.starts_with("casemate"))
        .collect()
}

fn name(value: &Value) -> String {
    value["name"].as_str().unwrap().to_owned()
}

/// Every source file of a crate, its unit tests and build script included.
fn sources(crate_dir: &str) -> Vec<(PathBuf, String)> {
    let dir = top().join("crates").join(crate_dir);
    let mut found = Vec::new();
    let mut open = vec![dir.join("src")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {}", dir.display());
    found
}

fn crates() -> Vec<String> {
    let all = std::fs::read_dir(top().join("crates")).unwrap();
    all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Lines of a crate's code that hold one of `words` as a whole word, as `file:line: text`. Comments do not count, and
/// nothing from a unit test module on.
fn lines_with(crate_dir: &str, words: &[&str]) -> Vec<String> {
    let mut hits = Vec::new();
    for (path, text) in sources(crate_dir) {
        let shown = path.strip_prefix(top()).unwrap().display().to_string();
        // Files of unit tests that their module includes by name.
        let in_tests = shown.ends_with("/tests.rs") || shown.contains("/tests/");
        if shown.ends_with("_tests.rs") || in_tests {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if words.iter().any(|word| has_word(line, word)) {
                hits.push(format!("{shown}:{number}: {}", line.trim()));
            }
        }
    }
    hits
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.lines().take_while(|line| line.trim() != "mod tests {");
    code.enumerate().map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
}

/// `word` with no letter, digit or underscore next to it where it begins and ends with one itself.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(inside) && word.starts_with(inside);
        let after =
            line[at + word.len()..].chars().next().is_some_and(inside) && word.ends_with(inside);
        !before && !after
    })
}

#[test]
fn dependencies_go_one_way() {
    let found = own_dependencies();
    let mut wrong = Vec::new();
    for (package, used) in &found {
        // Tests stand outside and may look at anything.
        if ["casemate-tests", "casemate-fuzz"].contains(&package.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == package) else {
            wrong.push(format!("{package} is not in the list of this test"));
            continue;
        };
        for other in used.iter().filter(|other| !allowed.contains(&other.as_str())) {
            wrong.push(format!("{package} must not use {other}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (package, _) in ALLOWED {
        assert!(found.contains_key(package), "{package} is gone: {found:?}");
    }
}

/// The crates that may hold `unsafe` code.
const WITH_UNSAFE: [&str; 2] = ["boot", "sys"];

fn without_unsafe() -> impl Iterator<Item = String> {
    crates().into_iter().filter(|name| !WITH_UNSAFE.contains(&name.as_str()))
}

#[test]
fn unsafe_code_is_in_sys_and_boot_alone() {
    for crate_dir in without_unsafe() {
        let hits = lines_with(&crate_dir, &["unsafe", "allow(unsafe_code)"]);
        assert!(hits.is_empty(), "{hits:#?}");
    }
    for crate_dir in WITH_UNSAFE {
        let hits = lines_with(crate_dir, &["unsafe"]);
        assert!(!hits.is_empty(), "the search finds nothing, not even in {crate_dir}");
    }
}

#[test]
fn the_workspace_forbids_unsafe_code_and_every_crate_but_sys_and_boot_follows_it() {
    let manifest = |dir: &str| std::fs::read_to_string(top().join(dir).join("Cargo.toml")).unwrap();
    assert!(manifest("").contains("unsafe_code = \"forbid\""));
    for crate_dir in without_unsafe() {
        let manifest = manifest(&format!("crates/{crate_dir}"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{crate_dir} has lints of its own");
    }
    for crate_dir in WITH_UNSAFE {
        let manifest = manifest(&format!("crates/{crate_dir}"));
        assert!(manifest.contains("undocumented_unsafe_blocks = \"deny\""), "{crate_dir}");
    }
}

#[test]
fn system_calls_go_by_the_names_of_the_crate_libc() {
    for crate_dir in WITH_UNSAFE {
        let hits = lines_with(crate_dir, &["mod nr", "const SYS_"]);
        assert!(hits.is_empty(), "{hits:#?}");
        let numbered = |line: &String| line.contains(|c: char| c.is_ascii_digit());
        let calls = lines_with(crate_dir, &["libc::syscall("]).into_iter();
        let arguments =
            calls.filter_map(|line| Some(line.split_once("libc::syscall(")?.1.to_owned()));
        let first = arguments.map(|line| line.split(',').next().unwrap_or_default().to_owned());
        let hits: Vec<String> = first.filter(|it| numbered(it) && !it.contains("SYS_")).collect();
        assert!(hits.is_empty(), "{hits:#?}");
    }
}

/// `sys::companion` shares its memory with this process, which is sound only while rustix makes bare system calls. That crate
/// says so to the compiler about `--cfg`; a feature would come unseen, by way of any dependency.
#[test]
fn no_dependency_turns_rustix_into_a_user_of_the_c_library() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["tree", "--offline", "--package", "casemate", "--edges", "features,normal"])
        .args(["--format", "{p} {f}", "--prefix", "none"])
        .current_dir(top());
    let out = casemate_tests::programs::output(&mut cargo).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let tree = String::from_utf8(out.stdout).unwrap();
    let rustix: Vec<&str> = tree.lines().filter(|line| line.starts_with("rustix ")).collect();
    assert!(rustix.iter().any(|line| line.contains("thread")), "{tree}");
    assert!(!rustix.iter().any(|line| line.contains("use-libc")), "{rustix:#?}");
}

#[test]
fn the_containers_side_knows_neither_oci_types_nor_json() {
    let hits =
        lines_with("sandbox", &["serde", "serde_json", "casemate_policy", "oci", "Spec", "json!"]);
    assert!(hits.is_empty(), "{hits:#?}");
}

#[test]
fn only_the_binary_prints_and_exits() {
    // rustix::stdio is not among them: the parent copies the bytes of a container's terminal to its own streams.
    let words =
        ["println!", "eprintln!", "print!", "eprint!", "process::exit", "io::stdout", "io::stderr"];
    for crate_dir in crates().iter().filter(|name| *name != "casemate") {
        let hits = lines_with(crate_dir, &words);
        assert!(hits.is_empty(), "{hits:#?}");
    }
}

#[test]
fn the_policy_and_the_filter_compiler_do_no_input_or_output() {
    for crate_dir in ["kernel", "policy", "seccomp"] {
        let hits = lines_with(crate_dir, &IMPURE);
        assert!(hits.is_empty(), "{hits:#?}");
    }
}

#[test]
fn the_search_tells_code_from_comments_and_whole_words_from_parts() {
    assert!(has_word("unsafe { call() }", "unsafe"));
    assert!(!has_word("unsafe_op_in_unsafe_fn", "unsafe"));
    assert!(has_word("eprintln!(\"x\")", "eprintln!"));
    assert!(!has_word("eprintln!(\"x\")", "println!"));
    let text = "// unsafe\nlet a = 1; // unsafe\nmod tests {\nunsafe {}\n";
    let found: Vec<_> = code_lines(text).filter(|(_, line)| has_word(line, "unsafe")).collect();
    assert!(found.is_empty(), "{found:?}");
}
