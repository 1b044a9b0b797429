//! Which module of a crate uses which, read from its sources: `use` declarations, with re-exports followed to where a name
//! comes from, and paths in the code (`crate::a::b`, `super::b`, `module::item`). A module is a file here.
//!
//! Not seen: calls of methods, which need no path (an `impl` may stand in a file of its own), paths that a macro puts
//! together, and unit tests, which may look at anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module's path in its crate; empty for the crate's own.
pub type Module = Vec<String>;

/// Which module uses which, and by which names.
pub type Uses = BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>;

/// One name that a `use` declaration brings.
struct Import {
    path: Vec<String>,
    name: String,
    /// Others may take it from here.
    exported: bool,
    /// In a module inside of the file.
    inner: bool,
}

struct Source {
    imports: Vec<Import>,
    /// The code without comments, strings and `use` declarations.
    code: String,
}

/// All modules of a crate, from its sources by path below `src`.
pub fn uses(sources: &[(String, String)]) -> Uses {
    let files = sources.iter().filter(|(path, _)| !is_test(path));
    let files: BTreeMap<Module, Source> =
        files.map(|(path, text)| (module_of(path), read(text))).collect();
    let found = files.iter().map(|(module, source)| {
        let mut used = BTreeMap::<Module, BTreeSet<String>>::new();
        for (target, name) in references(&files, module, source) {
            if target != *module {
                used.entry(target).or_default().insert(name);
            }
        }
        (module.clone(), used)
    });
    found.collect()
}

/// Groups of modules each of which leads to every other one, as their names.
pub fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        uses.keys().map(|from| (from, reach(uses, from))).collect();
    let mut found = BTreeSet::new();
    for (from, to) in &reached {
        if to.contains(*from) {
            let both = to.iter().filter(|other| reached[**other].contains(*from));
            found.insert(both.map(|module| shown(module)).collect::<Vec<_>>());
        }
    }
    found.into_iter().collect()
}

/// Who uses what inside of a circle, a line each.
pub fn arrows(uses: &Uses, circle: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for (from, used) in uses.iter().filter(|(from, _)| circle.contains(&shown(from))) {
        for (to, names) in used.iter().filter(|(to, _)| circle.contains(&shown(to))) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            lines.push(format!("{} uses {}: {}", shown(from), shown(to), names.join(", ")));
        }
    }
    lines
}

fn shown(module: &Module) -> String {
    if module.is_empty() {
        "crate".to_owned()
    } else {
        module.join("::")
    }
}

fn reach<'u>(uses: &'u Uses, from: &Module) -> BTreeSet<&'u Module> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Module> = uses[from].keys().collect();
    while let Some(module) = open.pop() {
        if found.insert(module) {
            open.extend(uses.get(module).into_iter().flat_map(BTreeMap::keys));
        }
    }
    found
}

fn is_test(path: &str) -> bool {
    let parts = path.trim_end_matches(".rs").split('/');
    parts.into_iter().any(|part| part == "tests" || part.ends_with("_tests"))
}

fn module_of(path: &str) -> Module {
    let path = Path::new(path).with_extension("");
    let mut parts: Module = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    let last = parts.last().map(String::as_str);
    if matches!(last, Some("mod")) || (parts.len() == 1 && matches!(last, Some("lib" | "main"))) {
        parts.pop();
    }
    parts
}

/// What a module refers to: the module that has it, and the name.
fn references(
    files: &BTreeMap<Module, Source>,
    module: &Module,
    source: &Source,
) -> Vec<(Module, String)> {
    let mut found = Vec::new();
    // Modules that have a name here.
    let mut known = BTreeMap::new();
    for import in &source.imports {
        let Some(path) = absolute(files, module, import) else { continue };
        if import.name == "*" {
            found.extend(glob(files, &path, &source.code));
        } else if files.contains_key(&path) {
            known.insert(import.name.clone(), path);
        } else if !import.exported || has_word(&source.code, &import.name) {
            found.extend(owner(files, &path, 0).map(|to| (to, import.name.clone())));
        }
    }
    for path in paths(&source.code) {
        let first = path[0].as_str();
        let child: Module = module.iter().cloned().chain([path[0].clone()]).collect();
        let path: Module = match known.get(first) {
            Some(target) => target.iter().chain(&path[1..]).cloned().collect(),
            None if matches!(first, "crate" | "super" | "self") || files.contains_key(&child) => {
                let import = Import { path, name: String::new(), exported: false, inner: false };
                match absolute(files, module, &import) {
                    Some(path) => path,
                    None => continue,
                }
            }
            None => continue,
        };
        let name = path.last().cloned().unwrap_or_default();
        found.extend(owner(files, &path, 0).map(|to| (to, name)));
    }
    found
}

/// `use path::*`: the names that `path` hands on, as far as the code has them.
fn glob(files: &BTreeMap<Module, Source>, path: &[String], code: &str) -> Vec<(Module, String)> {
    let Some(base) = longest(files, &path[..path.len() - 1]) else { return Vec::new() };
    let handed_on = files[&base].imports.iter().filter(|import| import.exported);
    let wanted = handed_on.filter(|import| has_word(code, &import.name));
    let found = wanted.filter_map(|import| {
        let path = absolute(files, &base, import)?;
        Some((owner(files, &path, 0)?, import.name.clone()))
    });
    found.collect()
}

/// A path of the crate from its top; `None`: it leads to another crate.
fn absolute(files: &BTreeMap<Module, Source>, module: &Module, import: &Import) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = import.path.as_slice();
    // In an inner module the first `super` is the file itself.
    let mut inner = import.inner;
    match rest.first()?.as_str() {
        "crate" => return Some(rest[1..].to_vec()),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                if !std::mem::take(&mut inner) {
                    base.pop();
                }
                rest = &rest[1..];
            }
        }
        first => {
            base.push(first.to_owned());
            if !files.contains_key(&base) {
                return None;
            }
            base.pop();
        }
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

fn longest(files: &BTreeMap<Module, Source>, path: &[String]) -> Option<Module> {
    (0..=path.len()).rev().map(|end| path[..end].to_vec()).find(|part| files.contains_key(part))
}

/// The module that has what `path` names, behind all re-exports.
fn owner(files: &BTreeMap<Module, Source>, path: &[String], depth: usize) -> Option<Module> {
    let module = longest(files, path)?;
    let Some(name) = path.get(module.len()) else { return Some(module) };
    let handed_on = files[&module].imports.iter().find(|it| it.exported && it.name == *name);
    match handed_on {
        Some(import) if depth < 8 => {
            let mut from = absolute(files, &module, import)?;
            from.extend(path[module.len() + 1..].iter().cloned());
            owner(files, &from, depth + 1)
        }
        _ => Some(module),
    }
}

fn has_word(code: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(|c| inside(c) || c == '.') && !after.is_some_and(inside)
    })
}

/// All paths of the code with two parts or more.
fn paths(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for word in code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')) {
        let parts: Module =
            word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let is_path = word.contains("::") && !word.starts_with(':') && parts.len() > 1;
        if is_path && parts.iter().all(|part| !part.contains(':')) {
            found.push(parts);
        }
    }
    found
}

fn read(text: &str) -> Source {
    let code = super::text::without_comments(super::text::without_unit_tests(text));
    let (mut imports, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let Some((exported, tree)) = declaration(line) else {
            if !is_module(line) {
                rest.push_str(line);
                rest.push('\n');
            }
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.contains(';') {
            let Some(more) = lines.next() else { break };
            tree.push_str(more.trim());
        }
        let inner = line.starts_with(' ');
        let tree = tree.split(';').next().unwrap_or_default();
        expand(tree.trim(), &[], &mut |path, name| {
            imports.push(Import { path, name, exported, inner });
        });
    }
    Source { imports, code: rest }
}

/// `mod name;`
fn is_module(line: &str) -> bool {
    let line = line.trim();
    line.ends_with(';') && line.trim_end_matches(';').split(' ').rev().nth(1) == Some("mod")
}

/// The tree of a `use` declaration, and whether it is `pub`.
fn declaration(line: &str) -> Option<(bool, &str)> {
    let line = line.trim_start();
    if let Some(tree) = line.strip_prefix("use ") {
        return Some((false, tree));
    }
    let rest = line.strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(')')?.1,
        None => rest,
    };
    rest.trim_start().strip_prefix("use ").map(|tree| (true, tree))
}

fn expand(tree: &str, before: &[String], take: &mut impl FnMut(Module, String)) {
    let joined = |part: &str| -> Module {
        let parts = part.split("::").map(str::trim).filter(|part| !part.is_empty());
        before.iter().cloned().chain(parts.map(str::to_owned)).collect()
    };
    if let Some((prefix, list)) = tree.split_once('{') {
        let list = list.trim_end().strip_suffix('}').unwrap_or(list);
        for part in split(list) {
            expand(part, &joined(prefix), take);
        }
        return;
    }
    let (path, name) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (tree, None),
    };
    let mut path = joined(path);
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(last) = path.last().cloned() {
        take(path, name.unwrap_or(last));
    }
}

/// The parts of a list, which may hold lists.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}
