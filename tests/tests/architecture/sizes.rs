//! How long a file and a function may be, so that each has one purpose.

use crate::text::{without_comments, without_unit_tests};
use crate::top;
use std::path::Path;

const FILE: usize = 500;
const FUNCTION: usize = 80;

/// Longer files that are tables, and why.
const TABLES: &[(&str, &str)] = &[(
    "crates/seccomp/src/arch/names.rs",
    "the names of all system calls, written by hack/gen-syscalls",
)];

fn rust_files() -> Vec<(String, String)> {
    let mut open = vec![top().join("crates"), top().join("tests")];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !matches!(name, "target" | "corpus" | "artifacts") {
                    open.push(path);
                }
            } else if Path::new(name).extension().is_some_and(|extension| extension == "rs") {
                let shown = path.strip_prefix(top()).unwrap().display().to_string();
                found.push((shown, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn no_file_is_longer_than_one_purpose_takes() {
    let mut wrong = Vec::new();
    let files = rust_files();
    for (path, text) in &files {
        let lines = text.lines().count();
        let table = TABLES.iter().any(|(table, _)| table == path);
        if lines > FILE && !table {
            wrong.push(format!("{path}: {lines} lines, at most {FILE}"));
        }
        assert!(lines > FILE || !table, "{path} is short enough: take it from the list");
    }
    assert!(files.len() > 300, "{}", files.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in rust_files() {
        for (line, length) in functions(&text) {
            seen += 1;
            if length > FUNCTION {
                wrong.push(format!("{path}:{line}: {length} lines, at most {FUNCTION}"));
            }
        }
    }
    assert!(seen > 3000, "{seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where each function begins, and how many lines it has. As rustfmt writes it, the end stands below the beginning.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let code = without_comments(text);
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if !is_function(line.trim_start()) || line.trim_end().ends_with([';', '}']) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let last = lines[start..].iter().position(|line| line.trim_end() == end);
        found.extend(last.map(|last| (start + 1, last + 1)));
    }
    found
}

fn is_function(line: &str) -> bool {
    let rest = match line.strip_prefix("pub") {
        Some(rest) => rest.trim_start_matches(|c| c != ' '),
        None => line,
    };
    let words = rest.split_whitespace();
    let mut words =
        words.skip_while(|word| matches!(*word, "const" | "unsafe" | "async" | "extern"));
    words.next() == Some("fn")
}

#[test]
fn functions_are_measured_from_the_signature_to_the_brace() {
    let text = "fn short() {}\n\nimpl X {\n    pub(crate) fn long(\n        a: u8,\n    ) {\n        // }\n    }\n}\n";
    assert_eq!(functions(text), [(4, 5)]);
    assert_eq!(without_unit_tests("a\n#[cfg(test)]\nmod tests {\n}\n"), "a");
}
