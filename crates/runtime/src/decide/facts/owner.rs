//! For which container an engine has made a root file system, where the path does not say: the layer is named there, and the
//! engine's own files name the container that has it.

use casemate_policy::FileFact;
use casemate_sys::errno_text;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The container that has this root file system; `None`: no engine's files say. `container`: the one that is made.
///
/// # Errors
/// Files of an engine that are there and cannot be read.
pub(super) fn of(file: &FileFact, container: &str) -> Result<Option<String>, String> {
    // A root with other ids is handed over through a bind mount elsewhere.
    for name in file.all_names() {
        let found = match parts(name) {
            Some((top, "overlay", layer)) => in_storage(&top.join("overlay-containers"), layer)?,
            Some((top, "vfs", layer)) => in_storage(&top.join("vfs-containers"), layer)?,
            Some((top, "overlay2", layer)) => in_docker(&top, layer, container)?,
            _ => None,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The directory of an engine, its driver and the layer: `TOP/overlay/LAYER/merged`, `TOP/vfs/dir/LAYER`.
fn parts(path: &str) -> Option<(PathBuf, &str, &str)> {
    let mut last = path.rsplitn(4, '/');
    let (c, b, a, top) = (last.next()?, last.next()?, last.next()?, last.next()?);
    match (a, b, c) {
        ("overlay" | "overlay2", layer, "merged") => Some((PathBuf::from(top), a, layer)),
        ("vfs", "dir", layer) => Some((PathBuf::from(top), a, layer)),
        _ => None,
    }
}

/// containers/storage lists its containers in two files, of which the second has those that are not kept.
fn in_storage(containers: &Path, layer: &str) -> Result<Option<String>, String> {
    for name in ["containers.json", "volatile-containers.json"] {
        if let Some(list) = read(&containers.join(name))? {
            if let Some(owner) = listed(&list, layer) {
                return Ok(Some(owner));
            }
        }
    }
    Ok(None)
}

/// The id of the entry with this layer. The list of a busy host is long, so it is searched and not parsed: an entry begins with
/// its id, and inside of a string each quotation mark has a backslash before it.
fn listed(list: &str, layer: &str) -> Option<String> {
    let at = list.find(&format!("\"layer\":\"{layer}\""))?;
    let begin = "{\"id\":\"";
    let id = &list[list[..at].rfind(begin)? + begin.len()..at];
    Some(id.split('"').next()?.to_owned())
}

/// Docker keeps the layer of each container in a file below the container's id. All are looked through only for a container
/// that Docker does not know.
fn in_docker(top: &Path, layer: &str, container: &str) -> Result<Option<String>, String> {
    let mounts = top.join("image/overlay2/layerdb/mounts");
    let has = |id: &Path| Ok::<_, String>(read(&id.join("mount-id"))?.is_some_and(|l| l == layer));
    if has(&mounts.join(container))? {
        return Ok(Some(container.to_owned()));
    }
    let Ok(entries) = std::fs::read_dir(&mounts) else { return Ok(None) };
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", mounts.display()))?;
        if has(&entry.path())? {
            return Ok(Some(entry.file_name().to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// What an engine's file holds; `None` without one: others than root and the caller name files as engines do.
///
/// # Errors
/// It is there and cannot be read, or is longer than any engine's.
fn read(path: &Path) -> Result<Option<String>, String> {
    /// Bytes: some ten thousand containers.
    const MOST: u64 = 64 << 20;
    let about = |errno| format!("{}: {}", path.display(), errno_text(errno));
    // Neither a FIFO that nobody writes nor a link to a device is waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(about(error)),
    };
    let stat = rustix::fs::fstat(&file).map_err(about)?;
    let is_engines = stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw();
    if !is_engines || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let mut text = String::new();
    let read = std::fs::File::from(file).take(MOST + 1).read_to_string(&mut text);
    read.map_err(|error| format!("{}: {}", path.display(), crate::files::io_error_text(&error)))?;
    match text.len() as u64 {
        0..=MOST => Ok(Some(text)),
        _ => Err(format!("{}: longer than {MOST} bytes", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_that_has_a_layer_is_found_in_the_list() {
        let list = r#"[{"id":"c1","names":["a"],"image":"i","layer":"l1","metadata":"{\"id\":\"x\",\"layer\":\"l9\"}"},
            {"id":"c2","image":"i","layer":"l2","metadata":"{}"}]"#;
        assert_eq!(listed(list, "l1").as_deref(), Some("c1"));
        assert_eq!(listed(list, "l2").as_deref(), Some("c2"));
        assert_eq!(listed(list, "l9"), None);
        let dir = std::env::temp_dir().join(format!("casemate-owner-{}", std::process::id()));
        let containers = dir.join("overlay-containers");
        std::fs::create_dir_all(&containers).unwrap();
        std::fs::write(containers.join("volatile-containers.json"), list).unwrap();
        let path = dir.join("overlay/l2/merged").to_string_lossy().into_owned();
        let file = FileFact { path: path.clone(), ..FileFact::default() };
        assert_eq!(of(&file, "c1").unwrap().as_deref(), Some("c2"));
        let names = vec![path];
        let file = FileFact { path: "/var/tmp/storage-run/merged".into(), names, ..file };
        assert_eq!(of(&file, "c1").unwrap().as_deref(), Some("c2"));
        let docker = dir.join("image/overlay2/layerdb/mounts/d1");
        std::fs::create_dir_all(&docker).unwrap();
        std::fs::write(docker.join("mount-id"), "l3").unwrap();
        let path = dir.join("overlay2/l3/merged").to_string_lossy().into_owned();
        let file = FileFact { path, ..FileFact::default() };
        assert_eq!(of(&file, "other").unwrap().as_deref(), Some("d1"));
        assert_eq!(of(&file, "d1").unwrap().as_deref(), Some("d1"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
