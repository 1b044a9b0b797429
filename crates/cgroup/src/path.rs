//! Where a container's cgroup goes: the two readings of `linux.cgroupsPath`, as pure functions.
//!
//! The file system driver takes a path, the systemd driver a triple `slice:prefix:name`. Nothing here touches
//! the host; paths are refused rather than repaired: a path that an
//! image or an API user chose must not climb out of the hierarchy.

use crate::error::{Error, Result};
use std::path::{Component, Path, PathBuf};

fn bad(path: &str, why: &'static str) -> Error {
    Error::BadPath { path: path.to_owned(), why }
}

/// Refuse what could climb out of the tree or end early in the kernel; drop `.` and doubled slashes.
fn checked(path: &str) -> Result<PathBuf> {
    if path.contains(['\0', '\n']) {
        return Err(bad(path, "contains a NUL or a line break"));
    }
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => return Err(bad(path, "contains \"..\"")),
            Component::Normal(name) if name.len() > 255 => {
                return Err(bad(path, "has a component longer than 255 bytes"));
            }
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(clean)
}

/// The cgroup of a container for the file system driver, absolute from the root of the hierarchy.
///
/// As runc does on cgroup v2: an absolute `cgroups_path` counts from the hierarchy's root; a relative one stands
/// beside the caller's own cgroup (`own`, from [`crate::Hierarchy::own_path`]), because a cgroup with processes
/// cannot have controllers below it; empty or absent means `id`, relative.
///
/// # Errors
/// [`Error::BadPath`]: `..`, NUL, a line break or a component of more than 255 bytes anywhere; an
/// empty result (the root itself).
pub fn resolve_fs_path(cgroups_path: Option<&str>, id: &str, own: &Path) -> Result<PathBuf> {
    let asked = cgroups_path.filter(|path| !path.is_empty());
    let path = asked.unwrap_or(id);
    let clean = checked(path)?;
    if clean.as_os_str().is_empty() {
        return Err(bad(path, "names the root of the hierarchy"));
    }
    if asked.is_some_and(|path| path.starts_with('/')) {
        return Ok(Path::new("/").join(clean));
    }
    let own_text = own.to_string_lossy();
    let beside = checked(&own_text).map_err(|_| {
        bad(&own_text, "the caller's own cgroup lies outside its cgroup namespace; give an absolute cgroupsPath")
    })?;
    Ok(Path::new("/").join(beside.parent().unwrap_or(Path::new(""))).join(clean))
}

/// `slice:prefix:name`, the systemd driver's form of `linux.cgroupsPath`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemdPath {
    /// The slice unit that the scope goes below: `system.slice`, `-.slice`, ...
    pub slice: String,
    /// First part of the scope's name, often the engine's.
    pub prefix: String,
    /// Second part, often the container's id; or a whole slice unit's name.
    pub name: String,
}

impl SystemdPath {
    /// Read `slice:prefix:name`. `None` and the empty string give `:casemate:<id>`. An empty slice becomes
    /// `user.slice` for a user's manager, else `system.slice`; `-` becomes the root slice.
    ///
    /// # Errors
    /// [`Error::BadPath`]: not exactly three parts, an empty name, a part that is no unit name, a
    /// slice not ending in `.slice`.
    pub fn parse(cgroups_path: Option<&str>, id: &str, user_manager: bool) -> Result<Self> {
        let Some(path) = cgroups_path.filter(|path| !path.is_empty()) else {
            return Self::from_parts("", "casemate", id, user_manager);
        };
        let parts: Vec<&str> = path.split(':').collect();
        let [slice, prefix, name] = parts[..] else {
            return Err(bad(
                path,
                "expected the form \"slice:prefix:name\" of the systemd cgroup driver",
            ));
        };
        Self::from_parts(slice, prefix, name, user_manager)
    }

    fn from_parts(slice: &str, prefix: &str, name: &str, user_manager: bool) -> Result<Self> {
        let slice = match slice {
            "" if user_manager => "user.slice",
            "" => "system.slice",
            "-" => "-.slice",
            other => other,
        };
        if name.is_empty() {
            return Err(bad(name, "the name in \"slice:prefix:name\" is empty"));
        }
        let parsed =
            Self { slice: slice.to_owned(), prefix: prefix.to_owned(), name: name.to_owned() };
        // Validates the slice's form as a side effect of expanding it.
        expand_slice(slice).map(drop)?;
        check_unit_name(&parsed.unit())?;
        Ok(parsed)
    }

    /// The unit: `prefix-name.scope`, `name.scope` without a prefix, or the name itself if it is a slice.
    pub fn unit(&self) -> String {
        if self.is_slice() {
            self.name.clone()
        } else if self.prefix.is_empty() {
            format!("{}.scope", self.name)
        } else {
            format!("{}-{}.scope", self.prefix, self.name)
        }
    }

    /// Whether the unit is a slice, which holds no processes of its own.
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }
}

/// systemd's own rule for unit names: these characters, at most 255 bytes (systemd.unit(5)).
fn check_unit_name(unit: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if unit.len() > 255 {
        return Err(bad(unit, "a unit name has at most 255 bytes"));
    }
    if !unit.chars().all(allowed) {
        return Err(bad(unit, "a unit name has only letters, digits and : - _ . \\ @"));
    }
    Ok(())
}

/// The path of a slice below its manager's root: `a-b.slice` is `a.slice/a-b.slice`, `-.slice` the root itself
/// (systemd.slice(5)).
///
/// # Errors
/// [`Error::BadPath`]: it does not end in `.slice`, is no unit name, or has a leading, trailing or
/// doubled `-`.
pub fn expand_slice(slice: &str) -> Result<PathBuf> {
    let Some(stem) = slice.strip_suffix(".slice").filter(|stem| !stem.is_empty()) else {
        return Err(bad(slice, "a slice is named \"something.slice\""));
    };
    check_unit_name(slice)?;
    if stem == "-" {
        return Ok(PathBuf::new());
    }
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in stem.split('-') {
        if part.is_empty() {
            return Err(bad(slice, "a slice name has no leading, trailing or doubled \"-\""));
        }
        prefix.push_str(part);
        path.push(format!("{prefix}.slice"));
        prefix.push('-');
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fs(path: &str, own: &str) -> PathBuf {
        resolve_fs_path(Some(path), "ctr", Path::new(own)).unwrap()
    }

    #[test]
    fn absolute_paths_count_from_the_root_of_the_hierarchy() {
        assert_eq!(fs("/a/b", "/user.slice/x"), Path::new("/a/b"));
        assert_eq!(fs("//a/./b/", "/"), Path::new("/a/b"));
    }

    #[test]
    fn relative_paths_stand_beside_the_callers_cgroup() {
        assert_eq!(fs("a/b", "/user.slice/shell.scope"), Path::new("/user.slice/a/b"));
        assert_eq!(fs("a", "/"), Path::new("/a"));
    }

    #[test]
    fn empty_paths_mean_the_id() {
        for none in [None, Some("")] {
            let path = resolve_fs_path(none, "ctr", Path::new("/x/y")).unwrap();
            assert_eq!(path, Path::new("/x/ctr"));
        }
    }

    #[test]
    fn climbing_paths_are_refused() {
        for path in ["..", "/..", "../x", "/a/../../b", "a/..", "/a/b/.."] {
            let error = resolve_fs_path(Some(path), "ctr", Path::new("/")).unwrap_err();
            assert!(error.to_string().contains("contains \"..\""), "{error}");
        }
    }

    #[test]
    fn nul_line_break_and_root_are_refused() {
        for path in ["a\0b", "a\nb", "/", "/.", "."] {
            assert!(resolve_fs_path(Some(path), "ctr", Path::new("/")).is_err(), "{path:?}");
        }
    }

    #[test]
    fn own_cgroup_outside_the_namespace_serves_only_absolute_paths() {
        let own = Path::new("/../../other");
        let error = resolve_fs_path(Some("a"), "ctr", own).unwrap_err();
        assert!(error.to_string().contains("outside its cgroup namespace"), "{error}");
        assert_eq!(resolve_fs_path(Some("/a"), "ctr", own).unwrap(), Path::new("/a"));
    }

    #[test]
    fn systemd_triples_become_scope_names() {
        let path = SystemdPath::parse(Some("machine.slice:libpod:abc"), "id", false).unwrap();
        assert_eq!(path.slice, "machine.slice");
        assert_eq!(path.unit(), "libpod-abc.scope");
        let plain = SystemdPath::parse(Some("::abc"), "id", false).unwrap();
        assert_eq!((plain.slice.as_str(), plain.unit().as_str()), ("system.slice", "abc.scope"));
        let user = SystemdPath::parse(Some(":p:abc"), "id", true).unwrap();
        assert_eq!(user.slice, "user.slice");
        let root = SystemdPath::parse(Some("-:p:abc"), "id", false).unwrap();
        assert_eq!(root.slice, "-.slice");
        let slice = SystemdPath::parse(Some("machine.slice:p:pod.slice"), "id", false).unwrap();
        assert_eq!(slice.unit(), "pod.slice");
        let absent = SystemdPath::parse(None, "id", false).unwrap();
        assert_eq!(absent.unit(), "casemate-id.scope");
    }

    #[test]
    fn systemd_paths_of_another_form_are_refused() {
        for path in
            ["/a/b", "a:b", "a:b:c:d", "a.slice:p:", "noslice:p:n", "a.slice:p:../n", ":p:a/b"]
        {
            assert!(SystemdPath::parse(Some(path), "id", false).is_err(), "{path}");
        }
    }

    #[test]
    fn slices_expand_to_nested_directories() {
        let expand = |slice| expand_slice(slice).unwrap();
        assert_eq!(expand("a-b-c.slice"), Path::new("a.slice/a-b.slice/a-b-c.slice"));
        assert_eq!(expand("system.slice"), Path::new("system.slice"));
        assert_eq!(expand("-.slice"), Path::new(""));
        for bad in ["-a.slice", "a-.slice", "a--b.slice", "a", ".slice", "a/b.slice"] {
            assert!(expand_slice(bad).is_err(), "{bad}");
        }
    }
}
