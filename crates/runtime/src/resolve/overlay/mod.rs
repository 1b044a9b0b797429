//! What the overlay below a rootfs is made of, read from mountinfo.
//!
//! An overlay that is mounted cannot be given an id mapping (mount_setattr(2): EINVAL), and an overlay is what engines
//! hand over. So it is put together a second time, from layers that can. This module finds them; it mounts nothing.
//! What it cannot understand it calls unusable, with the reason, and leaves the consequence to the caller.

mod named;
mod shown;

pub(crate) use named::from_layers;
pub(crate) use shown::{layers as shown_layers, Shown};

use crate::procfs;
use anyhow::{Context as _, Result};
use casemate_kernel::mountinfo::{self, Mount};
use casemate_sandbox::plan::{Layer, OverlayPlan, Upper};
use casemate_sys::mount::attr;
use casemate_sys::Context as _;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What lies below a rootfs.
#[derive(Debug)]
pub(crate) enum Below {
    /// Some other file system: one clone of it will do.
    Other {
        /// Its type, as mountinfo names it.
        fstype: String,
    },
    /// An overlay that can be put together again.
    Overlay(Box<OverlayPlan>),
    /// An overlay that cannot, and why.
    Unusable(String),
}

/// Look at the mount that `rootfs` lies on. `writable`: the new overlay writes to the old one's upper directory; otherwise
/// to a scratch of its own that goes with the container.
///
/// # Errors
/// mountinfo cannot be read, or does not have the mount.
pub(crate) fn below(proc: &OwnedFd, rootfs: &Path, writable: bool) -> Result<Below> {
    let about = || format!("root.path {}", rootfs.display());
    let root = open_dir(rootfs).with_context(about)?;
    let table = procfs::read_bytes(proc, "self/mountinfo")?;
    let id = mount_id(&root).with_context(about)?;
    let line = known(&table, id).with_context(about)?;
    if line.fstype != "overlay" {
        return Ok(Below::Other { fstype: line.fstype.to_owned() });
    }
    let real = real_path(proc, &root).with_context(about)?;
    Ok(match plan(proc, &table, &line, &real, writable) {
        Ok(plan) => Below::Overlay(Box::new(plan)),
        Err(why) => Below::Unusable(format!("{why:#}")),
    })
}

/// Whether mounts of this file system can have an id mapping: FS_ALLOW_IDMAP in the kernel, by the release that set it.
/// FUSE leaves it to its server, so it counts as one that cannot.
#[must_use]
pub(crate) fn can_be_idmapped(fstype: &str, kernel: (u32, u32)) -> bool {
    const SINCE: [(&str, (u32, u32)); 11] = [
        ("ext4", (5, 12)),
        ("vfat", (5, 12)),
        ("xfs", (5, 12)),
        ("btrfs", (5, 15)),
        ("ntfs3", (5, 15)),
        ("f2fs", (5, 18)),
        ("erofs", (5, 19)),
        ("squashfs", (6, 2)),
        ("tmpfs", (6, 3)),
        ("ceph", (6, 7)),
        ("zfs", (5, 12)),
    ];
    SINCE.iter().any(|(name, since)| *name == fstype && kernel >= *since)
}

fn plan(
    proc: &OwnedFd,
    table: &[u8],
    line: &Mount<'_>,
    rootfs: &Path,
    writable: bool,
) -> Result<OverlayPlan> {
    if line.has("idmapped") {
        anyhow::bail!("the overlay has an id mapping already");
    }
    let text = std::str::from_utf8(line.super_options).context("the overlay's options")?;
    let found = Options::parse(text)?;
    let start = Anchor { upper: found.upper.as_deref(), mount_point: &unescape(line.point) };
    let mut layers = Layers { proc, table, bases: Vec::new(), mapped: true };
    let lowers = found.lowers.iter().map(|path| start.resolve(path, &found));
    let mut lowers = lowers.collect::<Result<Vec<_>>>()?;
    let upper = match (&found.upper, &found.work) {
        (Some(upper), Some(work)) if writable => {
            let (upper, work) = (start.resolve(upper, &found)?, start.resolve(work, &found)?);
            Some((upper, work))
        }
        (None, _) if writable => anyhow::bail!("the overlay has no upper directory"),
        (Some(upper), _) => {
            lowers.insert(0, start.resolve(upper, &found)?);
            None
        }
        _ => None,
    };
    let opened: Vec<Opened> = lowers.iter().map(|path| layers.open(path)).collect::<Result<_>>()?;
    let kept = match &upper {
        Some((upper, work)) => Some((layers.open(upper)?, layers.open(work)?)),
        None => None,
    };
    let upper = match &kept {
        Some((upper, work)) => {
            Upper::Kept { upper: layers.layer(upper)?, work: layers.layer(work)? }
        }
        None => Upper::Scratch,
    };
    Ok(OverlayPlan {
        lowers: opened.iter().map(|o| layers.layer(o)).collect::<Result<_>>()?,
        data: Vec::new(),
        upper,
        bases: layers.bases.into_iter().map(|base| base.path).collect(),
        options: found.keep,
        attrs: attributes(line),
        inside: inside(line, rootfs)?,
    })
}

/// The mount of this number, which somebody has a descriptor of.
pub(crate) fn known(table: &[u8], id: u64) -> Result<Mount<'_>> {
    mountinfo::find(table, id)?.with_context(|| format!("mount {id} is unknown"))
}

/// The engine's own restrictions, without its "ro": that is the plan's to say.
fn attributes(mount: &Mount<'_>) -> u64 {
    mount.restrictions() & (attr::NOSUID | attr::NODEV | attr::NOEXEC)
}

/// Where in the overlay `rootfs`, a path on this mount, is.
fn inside(mount: &Mount<'_>, rootfs: &Path) -> Result<PathBuf> {
    let point = unescape(mount.point);
    let below = rootfs.strip_prefix(&point).with_context(|| {
        format!("{} is not below its mount point {}", rootfs.display(), point.display())
    })?;
    let top = unescape(mount.root);
    Ok(top.strip_prefix("/").unwrap_or(&top).join(below))
}

/// A path as mountinfo has it.
pub(crate) fn unescape(text: impl AsRef<[u8]>) -> PathBuf {
    PathBuf::from(OsString::from_vec(mountinfo::unescape(text.as_ref()).into_owned()))
}

/// The mount options of an overlay.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// Uppermost first.
    lowers: Vec<PathBuf>,
    upper: Option<PathBuf>,
    work: Option<PathBuf>,
    /// What the new overlay has to know in order to show the same: how it reads redirects and extended attributes, and
    /// the label of its files.
    keep: Vec<(String, Option<String>)>,
}

/// Without these the layers would be read in another way, or their files labelled in another.
const KEEP: [&str; 7] =
    ["redirect_dir", "metacopy", "userxattr", "context", "fscontext", "defcontext", "rootcontext"];

impl Options {
    fn parse(text: &str) -> Result<Self> {
        let mut this = Self::default();
        for option in split_options(text) {
            let (key, value) = match option.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (option, None),
            };
            match (key, value) {
                ("lowerdir", Some(list)) => this.lowers.extend(split_layers(list)?),
                ("lowerdir+", Some(path)) => this.lowers.push(unescape(path)),
                ("upperdir", Some(path)) => this.upper = Some(unescape(path)),
                ("workdir", Some(path)) => this.work = Some(unescape(path)),
                ("datadir+", _) => anyhow::bail!("the overlay has data-only layers"),
                _ if KEEP.contains(&key) => {
                    let value = value.map(|v| unescape(v.trim_matches('"')).display().to_string());
                    this.keep.push((key.to_owned(), value));
                }
                _ => {}
            }
        }
        if this.lowers.is_empty() {
            anyhow::bail!("the overlay's layers are not shown");
        }
        Ok(this)
    }
}

/// At commas, but not at those between the quotes of a security label, which is quoted as a whole. A quote within a value is one
/// of a file's name.
fn split_options(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut before) = (false, ',');
    text.split(move |c: char| {
        if c == '"' {
            quoted = !quoted && before == '=';
        }
        before = c;
        c == ',' && !quoted
    })
}

/// `lowerdir` is a list with colons; a colon of a path has a backslash before it.
fn split_layers(list: &str) -> Result<Vec<PathBuf>> {
    let list = unescape(list).into_os_string().into_vec();
    let mut layers = vec![Vec::new()];
    let mut bytes = list.into_iter();
    while let Some(byte) = bytes.next() {
        let last = layers.len() - 1;
        match byte {
            b'\\' => layers[last].extend(bytes.next()),
            b':' => layers.push(Vec::new()),
            other => layers[last].push(other),
        }
    }
    if layers.iter().any(Vec::is_empty) {
        anyhow::bail!("the overlay has data-only layers");
    }
    Ok(layers.into_iter().map(|layer| PathBuf::from(OsString::from_vec(layer))).collect())
}

/// Where relative layers begin: an engine with many of them changes into their directory before it mounts, because the
/// options have to fit a page. That directory is above the upper directory or above the mount point.
struct Anchor<'a> {
    upper: Option<&'a Path>,
    mount_point: &'a Path,
}

impl Anchor<'_> {
    fn resolve(&self, path: &Path, all: &Options) -> Result<PathBuf> {
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        let relative: Vec<&Path> = all
            .lowers
            .iter()
            .chain(&all.upper)
            .map(PathBuf::as_path)
            .filter(|p| p.is_relative())
            .collect();
        let above = self.upper.filter(|p| p.is_absolute()).unwrap_or(self.mount_point);
        let all_there = |dir: &&Path| relative.iter().all(|layer| dir.join(layer).is_dir());
        let dir = above.ancestors().skip(1).find(all_there);
        let dir = dir.or_else(|| self.mount_point.ancestors().skip(1).find(all_there));
        let dir = dir.with_context(|| {
            format!("the overlay's layer {} is relative to an unknown directory", path.display())
        })?;
        Ok(dir.join(path))
    }
}

/// A layer that was found.
struct Opened {
    real: PathBuf,
    base: usize,
    identity: (u64, u64),
}

/// The directory above all layers of one mount.
struct Base {
    mount: u64,
    path: PathBuf,
}

/// Layers, and the directories that hold them.
struct Layers<'p> {
    proc: &'p OwnedFd,
    table: &'p [u8],
    bases: Vec<Base>,
    /// They are to be shown with other ids.
    mapped: bool,
}

impl Layers<'_> {
    fn open(&mut self, path: &Path) -> Result<Opened> {
        let about = || format!("the overlay's layer {}", path.display());
        let fd = open_dir(path).with_context(about)?;
        let st = rustix::fs::fstat(&fd).call(|| "fstat()").with_context(about)?;
        let (real, mount) = (real_path(self.proc, &fd)?, mount_id(&fd)?);
        let base = match self.bases.iter().position(|base| base.mount == mount) {
            Some(at) => {
                self.bases[at].path = common(&self.bases[at].path, &real);
                at
            }
            None => {
                if self.mapped {
                    self.check(mount).with_context(about)?;
                }
                self.bases.push(Base { mount, path: real.clone() });
                self.bases.len() - 1
            }
        };
        Ok(Opened { real, base, identity: (st.st_dev, st.st_ino) })
    }

    /// A mount can have an id mapping once, and not on every file system.
    fn check(&self, mount: u64) -> Result<()> {
        let line = known(self.table, mount)?;
        if line.has("idmapped") {
            anyhow::bail!("lies on a mount that has an id mapping already");
        }
        if !can_be_idmapped(line.fstype, crate::decide::caller::kernel_release()) {
            anyhow::bail!("lies on {}, whose mounts cannot have an id mapping", line.fstype);
        }
        Ok(())
    }

    /// Once all are open: the path below the directory that holds them all.
    fn layer(&self, opened: &Opened) -> Result<Layer> {
        let path = opened.real.strip_prefix(&self.bases[opened.base].path)?.to_owned();
        Ok(Layer { base: opened.base, path, identity: opened.identity })
    }
}

fn common(a: &Path, b: &Path) -> PathBuf {
    a.components().zip(b.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

fn open_dir(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())
        .call(|| format!("open(\"{}\")", path.display()))?)
}

pub(crate) fn mount_id(fd: impl AsFd) -> Result<u64> {
    let st =
        rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).call(|| "statx()")?;
    Ok(st.stx_mnt_id)
}

/// The path without links, as the kernel has it.
pub(crate) fn real_path(proc: &OwnedFd, fd: &OwnedFd) -> Result<PathBuf> {
    let link = rustix::fs::readlinkat(proc, format!("self/fd/{}", fd.as_raw_fd()), Vec::new())
        .call(|| "readlink(/proc/self/fd)")?;
    Ok(PathBuf::from(OsString::from_vec(link.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
90 28 0:50 / /m/a\\040b rw,nodev,relatime - overlay overlay rw,lowerdir=/l/2:/l/1,upperdir=/s/fs,workdir=/s/work,context=\"u:r:t:s0:c1,c2\",index=off
91 28 0:51 /sub /m/c rw,relatime shared:7 master:2 - overlay none rw,lowerdir=a\\134:b:c,redirect_dir=on,metacopy=on
92 28 0:52 / /m/d rw,relatime,idmapped - overlay none ro,lowerdir+=/l/x\\054y,lowerdir+=/l/1,userxattr
";

    #[test]
    fn mounts_are_found_by_their_number() {
        let line = known(TABLE, 90).unwrap();
        assert_eq!((line.fstype, unescape(line.point)), ("overlay", PathBuf::from("/m/a b")));
        assert_eq!(attributes(&line), attr::NODEV);
        assert_eq!(inside(&line, Path::new("/m/a b/x/y")).unwrap(), Path::new("x/y"));
        assert_eq!(known(TABLE, 28).unwrap().fstype, "ext4");
        assert!(known(TABLE, 9).is_err());
        let line = known(TABLE, 91).unwrap();
        assert_eq!(inside(&line, Path::new("/m/c/x")).unwrap(), Path::new("sub/x"));
        assert!(known(TABLE, 92).unwrap().has("idmapped"));
    }

    #[test]
    fn layers_and_what_must_be_kept_are_read_from_the_options() {
        let read = |id| {
            let text = known(TABLE, id).unwrap().super_options;
            Options::parse(std::str::from_utf8(text).unwrap()).unwrap()
        };
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        let options = read(90);
        assert_eq!(options.lowers, paths(&["/l/2", "/l/1"]));
        assert_eq!(options.upper.as_deref(), Some(Path::new("/s/fs")));
        assert_eq!(options.keep, [("context".to_owned(), Some("u:r:t:s0:c1,c2".to_owned()))]);
        let options = read(91);
        assert_eq!(options.lowers, paths(&["a:b", "c"]));
        assert_eq!(options.keep.len(), 2);
        let options = read(92);
        assert_eq!(options.lowers, paths(&["/l/x,y", "/l/1"]));
        assert_eq!(options.keep, [("userxattr".to_owned(), None)]);
    }

    #[test]
    fn data_only_layers_and_hidden_layers_are_not_understood() {
        for text in ["rw,lowerdir=/a::/b", "rw,lowerdir+=/a,datadir+=/b", "rw,xino=off"] {
            assert!(Options::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn relative_layers_are_found_above_the_upper_directory_or_the_mount_point() {
        let dir = std::env::temp_dir().join(format!("casemate-overlay-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        for layer in ["54/fs", "55/fs", "55/merged"] {
            std::fs::create_dir_all(dir.join(layer)).unwrap();
        }
        let options = Options {
            lowers: vec![PathBuf::from("54/fs")],
            upper: Some(dir.join("55/fs")),
            ..Options::default()
        };
        let away = Anchor { upper: options.upper.as_deref(), mount_point: Path::new("/run/x") };
        assert_eq!(away.resolve(&options.lowers[0], &options).unwrap(), dir.join("54/fs"));
        let (merged, short) = (dir.join("55/merged"), PathBuf::from("55/fs"));
        let options = Options { upper: Some(short), ..options };
        let near = Anchor { upper: options.upper.as_deref(), mount_point: &merged };
        assert_eq!(near.resolve(Path::new("55/fs"), &options).unwrap(), dir.join("55/fs"));
        let nowhere = Anchor { upper: None, mount_point: Path::new("/proc/self") };
        assert!(nowhere.resolve(&options.lowers[0], &options).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_a_path_has_in_common_with_another_is_cut_at_a_component() {
        let both = common(Path::new("/var/lib/layers/ab"), Path::new("/var/lib/layers/ac/x"));
        assert_eq!(both, Path::new("/var/lib/layers"));
    }
}
