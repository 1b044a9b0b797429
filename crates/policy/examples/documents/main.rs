//! Writes what the documents and profiles say about the controls, from the rows of the table and the comments above them:
//! `hack/docs --write`. With `--check` it writes nothing, names what is stale, and fails when something is.

mod comments;
mod pages;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let write = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write"] => true,
        ["--check"] => false,
        _ => {
            eprintln!("usage: documents --write | --check");
            return ExitCode::from(2);
        }
    };
    match run(write) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("documents: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True when everything is as it should be in the end.
fn run(write: bool) -> Result<bool, String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut good = true;
    for page in pages::all(&top)? {
        if page.text == page.wanted {
            continue;
        }
        let path = top.join(page.name);
        if write {
            std::fs::write(&path, &page.wanted)
                .map_err(|error| format!("write {}: {error}", page.name))?;
            println!("{}: written", page.name);
        } else {
            println!("{}: {} (hint: hack/docs --write)", page.name, page.difference());
            good = false;
        }
    }
    Ok(good)
}
