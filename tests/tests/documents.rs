//! What the documents print for others to paste, and where they point: manifests, configuration and links.
//!
//! It reads README.md, docs/ and the examples of the packages. Whether the configuration does what the text says is
//! for the tests with engines; that each block is one of theirs, or says why it is not, is seen to here.

use casemate_policy::{Allow, ALLOW_PREFIX};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![top().join("README.md")];
    files_below(&top().join("docs"), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "md"));
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

fn examples() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    files_below(&top().join("hack/package.d/examples"), &mut paths);
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The indented blocks of a document, without their indentation.
fn blocks(text: &str) -> Vec<String> {
    let (mut blocks, mut block) = (Vec::new(), String::new());
    for line in text.lines().chain(["end"]) {
        if let Some(code) = line.strip_prefix("    ") {
            block.push_str(code);
            block.push('\n');
        } else if line.is_empty() && !block.is_empty() {
            block.push('\n');
        } else if !block.is_empty() {
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks
}

/// All blocks and examples whose first line of content is like this, with the file that they are from.
fn blocks_that(begin: impl Fn(&str) -> bool) -> Vec<(PathBuf, String)> {
    let of = |(path, text): (PathBuf, String)| {
        blocks(&text).into_iter().map(move |block| (path.clone(), block)).collect::<Vec<_>>()
    };
    let all = documents().into_iter().flat_map(of).chain(examples());
    let is_content = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    all.filter(|(_, block)| block.lines().find(is_content).is_some_and(&begin)).collect()
}

fn manifests() -> Vec<(PathBuf, Yaml)> {
    let texts = blocks_that(|line| line.starts_with("apiVersion:"));
    let read = |(path, text): (PathBuf, String)| {
        let documents = YamlLoader::load_from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()));
        documents.into_iter().map(move |document| (path.clone(), document)).collect::<Vec<_>>()
    };
    texts.into_iter().flat_map(read).collect()
}

/// The pages that people paste from, by their file names.
fn pages() -> Vec<(String, String)> {
    let is_one = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let listed = ["OVERRIDE.md", "ROOTLESS.md", "INSTALL.md"].contains(&name);
        listed
            || path == top().join("README.md")
            || path.parent().unwrap().ends_with("docs/user/engines")
    };
    let found = documents().into_iter().filter(|(path, _)| is_one(path));
    found.map(|(path, text)| (path.file_name().unwrap().to_str().unwrap().into(), text)).collect()
}

/// What stands before each block of a page, indented or fenced: its marker, if it has one, and its first line.
fn marked(text: &str) -> Vec<(Option<&str>, &str)> {
    let (mut found, mut before, mut blank, mut inside, mut fenced) =
        (Vec::new(), "", true, false, false);
    for line in text.lines() {
        let fence = line.starts_with("```");
        // Indented text right behind other text goes on with that.
        let code = fence || fenced || line.starts_with("    ") && (blank || inside);
        if code && !inside {
            let marker = before.trim().strip_prefix("<!-- ");
            found.push((marker.and_then(|marker| marker.strip_suffix(" -->")), line));
        }
        fenced ^= fence;
        blank = line.trim().is_empty();
        if !blank {
            (inside, before) = (code, line);
        }
    }
    found
}

/// The names of what a page has for the tests of `integration/walk`, the programs of which are one text.
fn tried(text: &str) -> Vec<&str> {
    marked(text).into_iter().filter_map(|(marker, _)| marker?.strip_prefix("try: ")).collect()
}

fn walk() -> String {
    let mut paths = Vec::new();
    files_below(&top().join("integration/walk"), &mut paths);
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn each_block_of_a_page_that_people_paste_from_is_tried_or_says_why_not() {
    let pages = pages();
    assert!(pages.len() >= 9, "{}", pages.len());
    for (page, text) in &pages {
        for (marker, line) in marked(text) {
            let why = marker.and_then(|marker| marker.strip_prefix("not tried: "));
            let name = marker.and_then(|marker| marker.strip_prefix("try: "));
            let said = why.or(name).is_some_and(|said| !said.is_empty());
            assert!(said, "{page}: no `try:` and no `not tried:` before {line:?}");
        }
        let names = tried(text);
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(unique.len(), names.len(), "{page}: {names:?}");
    }
}

#[test]
fn what_a_page_has_to_be_tried_is_pasted_by_the_walk_and_the_other_way_round() {
    let walk = walk();
    let words: Vec<&str> =
        walk.split(|c: char| c.is_whitespace() || "();|\"".contains(c)).collect();
    let is_call = |word: &str| ["snippet", "commands", "paste", "type_in"].contains(&word);
    for (page, text) in pages() {
        let calls = words.windows(3).filter(|call| is_call(call[0]) && call[1] == page);
        let called: BTreeSet<&str> = calls.map(|call| call[2]).collect();
        let names = tried(&text);
        for name in &names {
            // A loop over names writes them out.
            let listed = called.contains("$name") && words.contains(name);
            assert!(called.contains(name) || listed, "{page}: {name} is tried by no test");
        }
        for name in called.into_iter().filter(|name| *name != "$name") {
            assert!(names.contains(&name), "{page} has no block {name}");
        }
    }
}

#[test]
fn manifests_can_be_read_and_say_what_they_are() {
    let manifests = manifests();
    assert!(manifests.len() >= 8, "{}", manifests.len());
    for (path, manifest) in &manifests {
        for key in ["apiVersion", "kind"] {
            assert!(manifest[key].as_str().is_some(), "{}: {key}: {manifest:?}", path.display());
        }
        let name = manifest["metadata"]["name"].as_str();
        assert!(name.is_some_and(|name| !name.contains(' ')), "{}: {manifest:?}", path.display());
    }
}

#[test]
fn bindings_bind_a_policy_that_is_there_and_pods_name_a_runtime_class_that_is_there() {
    let manifests = manifests();
    let names = |kind: &str| -> BTreeSet<&str> {
        let of_kind = manifests.iter().filter(|(_, m)| m["kind"].as_str() == Some(kind));
        of_kind.filter_map(|(_, m)| m["metadata"]["name"].as_str()).collect()
    };
    for (path, manifest) in &manifests {
        let kind = manifest["kind"].as_str().unwrap();
        if let Some(policy) = kind.strip_suffix("Binding") {
            let bound = manifest["spec"]["policyName"].as_str().unwrap();
            assert!(names(policy).contains(bound), "{}: {bound}", path.display());
        }
        if let Some(class) = manifest["spec"]["runtimeClassName"].as_str() {
            assert!(names("RuntimeClass").contains(class), "{}: {class}", path.display());
        }
    }
}

#[test]
fn configuration_in_toml_can_be_read() {
    let is_toml = |line: &str| {
        (line.starts_with('[') && !["[Service]", "[Unit]"].contains(&line.trim()))
            || line.starts_with("version = ")
    };
    let blocks = blocks_that(is_toml);
    assert!(blocks.len() >= 10, "{}", blocks.len());
    for (path, text) in blocks {
        let read = text.parse::<toml::Table>();
        assert!(read.is_ok(), "{}: {}\n{text}", path.display(), read.unwrap_err());
    }
}

#[test]
fn configuration_in_json_can_be_read() {
    let blocks = blocks_that(|line| line.starts_with('{'));
    assert!(!blocks.is_empty());
    for (path, text) in blocks {
        let read = serde_json::from_str::<Value>(&text);
        assert!(read.is_ok(), "{}: {}\n{text}", path.display(), read.unwrap_err());
    }
}

/// The names behind `org.casemate.allow/` in a text; not those that end in a word in capitals, which stands for any.
fn overrides_in(text: &str) -> Vec<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let behind = text.split(ALLOW_PREFIX).skip(1);
    behind
        .map(|rest| rest.chars().take_while(|c| part(*c)).collect::<String>())
        .map(|name| name.trim_end_matches('.').to_owned())
        .filter(|name| !name.is_empty() && !name.contains(|c: char| c.is_ascii_uppercase()))
        .collect()
}

#[test]
fn overrides_that_are_named_exist() {
    let mut seen = BTreeSet::new();
    for (path, text) in documents().into_iter().chain(examples()) {
        for name in overrides_in(&text) {
            assert!(Allow::parse(&name).is_ok(), "{}: {name}", path.display());
            seen.insert(name);
        }
    }
    assert!(seen.contains("rootfs.writable") && seen.len() > 5, "{seen:?}");
}

/// The targets of a document's links, without those that lead out of the project.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let inner = |target: &str| !target.contains("://") && !target.starts_with("mailto:");
    targets.map(|(target, _)| target.to_owned()).filter(|target| inner(target)).collect()
}

/// The anchors that a reader of Markdown makes of the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(slug).collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    for (path, text) in &documents {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{}: {link}", path.display());
            }
        }
    }
}

/// What stands between backticks and looks like a path of the repository.
fn paths_in(text: &str) -> Vec<&str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| code.contains('/') && !code.contains(' ')).collect()
}

#[test]
fn files_that_the_recipe_for_a_new_control_names_exist_and_say_what_it_quotes() {
    let text = std::fs::read_to_string(top().join("docs/CONTRIBUTING.md")).unwrap();
    let recipe = text.split_once("\n## Add a control\n").unwrap().1;
    let recipe = recipe.split("\n## ").next().unwrap();
    let paths = paths_in(recipe);
    assert!(paths.len() >= 10, "{paths:?}");
    for path in &paths {
        assert!(top().join(path).exists(), "{path}");
    }
    let mut quoted = 0;
    for row in recipe.lines().filter(|line| line.starts_with("| `")) {
        let path = paths_in(row)[0];
        let file = std::fs::read_to_string(top().join(path)).unwrap();
        for code in row.split('`').skip(1).step_by(2).filter(|code| code.ends_with([',', ';'])) {
            assert!(file.contains(code), "{path} has no {code}");
            quoted += 1;
        }
    }
    assert_eq!(quoted, 3);
}
