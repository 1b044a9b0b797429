//! What README.md, docs/ and profiles/ say about the controls is what the controls' own files say: `hack/docs --check`.

#[path = "../examples/documents/comments.rs"]
mod comments;
#[path = "../examples/documents/pages.rs"]
mod pages;

use std::path::Path;

#[test]
fn nothing_that_hack_docs_writes_is_stale() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = pages::all(&top).unwrap_or_else(|error| panic!("{error}"));
    let stale = pages.iter().filter(|page| page.text != page.wanted);
    let stale: Vec<String> =
        stale.map(|page| format!("{}: {}", page.name, page.difference())).collect();
    assert!(stale.is_empty(), "run hack/docs --write:\n{}", stale.join("\n"));
}
