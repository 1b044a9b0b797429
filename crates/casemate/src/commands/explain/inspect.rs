//! `explain --inspect`: what would become of a container that docker or podman knows, by what they say of it.

use super::Explain;
use crate::backend;
use crate::context::Context;
use anyhow::{bail, Context as _, Result};
use casemate_inspect::asked::inspected;
use casemate_runtime::files::read_given;
use casemate_runtime::request::{path, ExplainRequest};
use casemate_runtime::ContainerId;
use serde_json::{json, Value};
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// No output of inspect is so large.
const MOST: u64 = 16 << 20;

pub(super) fn report(args: &Explain, file: &OsStr, context: &Context<'_>) -> Result<Value> {
    if args.bundle.is_some() || args.config.is_some() || args.id.is_some() {
        bail!("--inspect and a bundle or container cannot both be looked at");
    }
    let container = inspected(&read(file)?)?;
    let bundle = Bundle::with(&container.config)?;
    let request = ExplainRequest {
        bundle: bundle.0.clone(),
        config: None,
        id: ContainerId::parse(&container.id)?,
        of_container: false,
    };
    let mut report = backend::explain(&context.global, &request)?;
    report["bundle"] = "what inspect says of it".into();
    let text = "the engine's own filter, hooks and networks are not in what inspect says, and decisions about these may differ";
    let unseen = not_here(&container.config).map(|source| {
        format!("{source} is not on this host: what a mount of it would be is not judged")
    });
    let more: Vec<Value> = unseen.chain([text.to_owned()]).map(Value::from).collect();
    match report["warnings"].as_array_mut() {
        Some(warnings) => warnings.extend(more),
        None => report["warnings"] = json!(more),
    }
    Ok(report)
}

/// The sources of binds that nobody can look at here; one that cannot be asked for is none that was judged either.
fn not_here(config: &Value) -> impl Iterator<Item = &str> {
    let mounts = config["mounts"].as_array().into_iter().flatten();
    let sources =
        mounts.filter(|mount| mount["type"] == "bind").filter_map(|m| m["source"].as_str());
    sources.filter(|source| !matches!(Path::new(source).try_exists(), Ok(true)))
}

fn read(file: &OsStr) -> Result<Vec<u8>> {
    if file != "-" {
        return read_given(&path::absolute(file)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(MOST).read_to_end(&mut bytes).context("standard input")?;
    Ok(bytes)
}

/// A bundle for the moment: the engine makes its own only when it starts the container.
struct Bundle(PathBuf);

impl Bundle {
    /// The root is empty: what is in the image, `explain` does not look at.
    fn with(config: &Value) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("casemate-explain-{}", std::process::id()));
        let about = || dir.display().to_string();
        // A name that is taken, by whomever, is an error.
        DirBuilder::new().mode(0o700).create(&dir).with_context(about)?;
        let bundle = Self(dir.clone());
        std::fs::create_dir(dir.join("rootfs")).with_context(about)?;
        std::fs::write(dir.join("config.json"), config.to_string()).with_context(about)?;
        Ok(bundle)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let Self(dir) = self;
        let remove = |path: &Path| std::fs::remove_dir(path);
        // It holds nothing else, so what cannot be removed is not in the way of anybody.
        let _left = std::fs::remove_file(dir.join("config.json"));
        let _left = remove(&dir.join("rootfs")).and_then(|()| remove(dir));
    }
}
