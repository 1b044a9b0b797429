//! No circles of modules: whoever reads a file has to know only what lies below it.

use crate::modules::{arrows, circles, uses};
use crate::{crates, sources, top};

/// Circles that are right, or are not taken apart yet, by a module of each: crate, module, why.
const KNOWN: &[(&str, &str, &str)] =
    &[("casemate", "commands", "being taken apart in a change of its own")];

fn of_crate(name: &str) -> Vec<(String, String)> {
    let dir = top().join("crates").join(name).join("src");
    let all = sources(name).into_iter();
    all.map(|(path, text)| (path.strip_prefix(&dir).unwrap().display().to_string(), text)).collect()
}

#[test]
fn no_module_leads_back_to_itself() {
    let mut wrong = Vec::new();
    let mut met = Vec::new();
    for name in crates() {
        let uses = uses(&of_crate(&name));
        assert!(uses.len() > 1 || name == "boot", "{name} has no modules");
        for circle in circles(&uses) {
            let known = KNOWN
                .iter()
                .find(|(of, module, _)| *of == name && circle.iter().any(|part| part == module));
            match known {
                Some(known) => met.push(known),
                None => wrong.push((name.clone(), arrows(&uses, &circle))),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for known in KNOWN {
        assert!(met.contains(&known), "no longer a circle, take it from the list: {known:?}");
    }
}

#[test]
fn a_circle_is_found_through_a_re_export_a_path_and_a_list() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let found = |files: &[(String, String)]| circles(&uses(files));
    let facade = file("a/mod.rs", "mod deep;\npub use deep::Thing;\n");
    let thing = file("a/deep.rs", "use crate::b::{self, other};\npub struct Thing(b::Other);\n");
    let back = file("b.rs", "use super::a::Thing;\npub fn other(_: Thing) {}\n");
    let names = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    assert_eq!(found(&[facade.clone(), thing, back]), [names(&["a::deep", "b"])]);
    let by_path = file("a/deep.rs", "pub struct Thing(crate::b::Other);\n");
    let back = file("b.rs", "pub struct Other;\nfn f() { crate::a::Thing::new() }\n");
    assert_eq!(found(&[facade.clone(), by_path, back]), [names(&["a::deep", "b"])]);
    let child = file("a/deep.rs", "use super::helper;\npub struct Thing;\n");
    let parent = file("a/mod.rs", "mod deep;\nfn helper() { deep::Thing; }\n");
    assert_eq!(found(&[parent, child]), [names(&["a", "a::deep"])]);
    let silent = file(
        "a/deep.rs",
        "// use crate::b::Other;\npub struct Thing; const B: &str = \"crate::b::x\";\n",
    );
    let tested =
        file("b.rs", "use crate::a::Thing;\n\n#[cfg(test)]\nmod tests {\n    use crate::b;\n}\n");
    assert_eq!(found(&[facade, silent, tested]), [[""; 0]; 0]);
}
