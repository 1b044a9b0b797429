//! The profile `casemate-default`: whether the kernel has it, and loading it. What it confines is said in
//! `profiles/apparmor`, who gets it by the policy.

use crate::decide::caller::Caller;
use anyhow::{anyhow, Context as _, Result};
use casemate_policy::DefaultProfile;
use casemate_sandbox::hooks;
use casemate_sandbox::plan::Hook;
use casemate_sandbox::plan::HookGuard;
use std::path::{Path, PathBuf};

/// Its name in the kernel.
pub(crate) const NAME: &str = "casemate-default";

const TEXT: &str = include_str!("../../../../profiles/apparmor/casemate-default");

/// The rules of that version are pinned where the parser knows it; older parsers know no other.
const ABI: (&str, &str) = ("/etc/apparmor.d/abi/3.0", "abi <abi/3.0>,\n");

/// All profiles that the kernel has, one line each: `name (mode)`. For root only.
const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";

const PARSERS: [&str; 3] =
    ["/usr/sbin/apparmor_parser", "/sbin/apparmor_parser", "/usr/bin/apparmor_parser"];

/// Whether containers can have it.
pub(crate) fn state(caller: &Caller) -> DefaultProfile {
    match is_loaded() {
        Ok(true) => return DefaultProfile::Loaded,
        Ok(false) => {}
        Err(e) => return DefaultProfile::Unavailable(format!("{PROFILES}: {e:#}")),
    }
    if !(caller.privileged && caller.initial_user_namespace) {
        return DefaultProfile::Unavailable("it is not loaded, and only root can load it".into());
    }
    match parser() {
        Some(_) => DefaultProfile::Loadable,
        None => DefaultProfile::Unavailable(
            "it is not loaded, and there is no apparmor_parser to load it (hint: install apparmor)"
                .into(),
        ),
    }
}

fn is_loaded() -> Result<bool> {
    let text = std::fs::read_to_string(PROFILES).map_err(|e| crate::files::io_error_text(&e))?;
    Ok(text.lines().any(|line| line.split(' ').next() == Some(NAME)))
}

fn parser() -> Option<PathBuf> {
    PARSERS.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Load it, unless somebody was faster.
pub(crate) fn load() -> Result<()> {
    let path = parser().ok_or_else(|| anyhow!("apparmor_parser is gone"))?;
    let pinned = Path::new(ABI.0).exists();
    let text = if pinned { TEXT.to_owned() } else { TEXT.replace(ABI.1, "") };
    let words = [c"apparmor_parser", c"--replace", c"--skip-cache"];
    let parser = Hook {
        label: format!("AppArmor profile {NAME}"),
        path,
        args: words.iter().map(|word| (*word).to_owned()).collect(),
        env: vec![c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
        dir: Some(PathBuf::from("/")),
        home: false,
        timeout: 30,
        guard: HookGuard::default(),
    };
    hooks::run(&parser, &text).context("apparmor.profile")?;
    match is_loaded()? {
        true => Ok(()),
        false => {
            Err(anyhow!("apparmor.profile: {NAME} was loaded, but the kernel does not list it"))
        }
    }
}
