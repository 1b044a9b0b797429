//! Where bind mounts and overlays lead: each source is opened once, by the same rules as for mounting, and
//! described. What is mounted later is compared with this.

use super::above::Above;
use super::fd::{mount_id, name};
use super::look::{self, Engines};
use super::names::text;
use super::owner;
use super::scene::Scene;
use super::used::{InUse, Sockets};
use crate::decide::bundle::Bundle;
use crate::resolve::overlay::{shown_layers, Shown};
use casemate_kernel::{magic, mountinfo};
use casemate_policy::mount_options::{Depth, MountPlanFlags};
use casemate_policy::spec::{Mount, Spec};
use casemate_policy::{
    is_below, layers, usual, FileFact, FileKind, LayerFact, LayerRole, SourceFact, SubMount, Usual,
};
use casemate_sys::{errno_text, mount};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

/// How many mounts below the source of a recursive bind mount are looked at, and no more are bound.
const SUBMOUNTS: usize = 4096;

/// How many overlays lie on each other at most: FILESYSTEM_MAX_STACK_DEPTH of the kernel is 2.
const STACKED: usize = 3;

/// What looking at sources needs.
pub(super) struct Looker<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) scene: Scene<'a>,
    /// Their layers, once somebody has asked.
    pub(super) above: OnceCell<Above>,
    pub(super) engines: Engines,
    /// What the host has in use, once somebody has asked.
    pub(super) used: Option<InUse>,
    /// Where engines listen, likewise.
    pub(super) sockets: Option<Sockets>,
}

impl Looker<'_> {
    /// The sources of all bind mounts, by the number of the mount.
    pub(super) fn sources(&mut self, spec: &Spec) -> BTreeMap<usize, SourceFact> {
        let bound = spec.mounts.iter().enumerate().filter(|(_, mount)| mount.is_bind());
        bound.map(|(index, mount)| (index, known(self.source(mount)))).collect()
    }

    /// The layers of all overlays. Options that cannot be read are refused by their control, which reads them too.
    pub(super) fn layers(&mut self, spec: &Spec) -> BTreeMap<usize, Vec<LayerFact>> {
        let mounts = spec.mounts.iter().enumerate();
        let overlays = mounts.filter(|(_, m)| !m.is_bind() && m.kind.as_deref() == Some("overlay"));
        let read = overlays.filter_map(|(index, mount)| Some((index, layers(mount).ok()?)));
        read.map(|(index, named)| {
            let one = |(role, path): (_, String)| {
                let source = known(self.file(&self.bundle.resolve(&path), false, 0));
                LayerFact { role, path, moved: false, source }
            };
            (index, named.into_iter().map(one).collect())
        })
        .collect()
    }

    /// The socket that system calls are handed to, where the filter has any handed to somebody.
    pub(super) fn listener(&mut self, spec: &Spec) -> Option<SourceFact> {
        let filter = spec.linux.seccomp.as_ref().filter(|filter| filter.uses_notify())?;
        let path = filter.listener_path.as_deref()?;
        Some(known(self.file(Path::new(path), false, 0)))
    }

    /// What the other containers of the state root were made from, and their hooks.
    ///
    /// # Errors
    /// What is written there cannot be read.
    pub(super) fn meet(&mut self, state_root: &Path, container: &str) -> anyhow::Result<()> {
        if self.scene.others.is_none() {
            let others = crate::state::bundles::of_others(state_root, container)?;
            self.scene.others = Some(others);
            // What was found in use before knew nothing of them.
            self.used = None;
        }
        Ok(())
    }

    /// The root file system, open: what it is by itself.
    ///
    /// # Errors
    /// It cannot be opened, or described.
    pub(super) fn root(&self, spec: &Spec) -> Result<(FileFact, OwnedFd), String> {
        let fd = open(&self.bundle.resolve(&spec.root.path), false)?;
        Ok((self.describe(&fd)?, fd))
    }

    /// What there is to be known about the root file system of `container` beside that.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub(super) fn look_deeper(
        &mut self,
        (file, fd): &mut (FileFact, OwnedFd),
        container: &str,
    ) -> Result<(), String> {
        file.engine = self.engines.of(file);
        if self.scene.root {
            file.package = look::package(file);
        }
        self.mark(fd, file)?;
        file.layers = self.below_overlay(fd, file, 0)?;
        if self.scene.root {
            file.container = owner::of(file, container)?;
        }
        Ok(())
    }

    fn source(&mut self, mount: &Mount) -> Result<FileFact, String> {
        let source = mount.source.as_deref().ok_or("a bind mount needs a source")?;
        let path = self.bundle.resolve(source);
        let flags = MountPlanFlags::parse(&mount.options).map_err(|error| error.to_string())?;
        let mut file = self.file(&path, flags.source_nofollow || flags.copy_symlink, 0)?;
        if flags.bind == Some(Depth::Recursive) && file.kind == FileKind::Directory {
            file.below = self.below(&file)?;
        }
        Ok(file)
    }

    /// What lies at `path`, with all that the controls want to know.
    fn file(&mut self, path: &Path, nofollow: bool, depth: usize) -> Result<FileFact, String> {
        let fd = open(path, nofollow)?;
        let mut file = self.describe(&fd)?;
        if self.scene.root {
            file.engine = self.engines.of(&file);
            file.package = look::package(&file);
            if !look::inside(&fd, &mut file)? {
                self.mark_sockets(&fd, &mut file)?;
            }
        }
        self.mark(&fd, &mut file)?;
        file.layers = self.below_overlay(&fd, &file, depth)?;
        Ok(file)
    }

    /// The layers of the overlay that an open file lies on, `depth` overlays above it. What is stacked over /usr, or read-only over
    /// another place of the host (systemd-sysext(8), systemd-confext), is the host's system: it is judged by its place alone.
    fn below_overlay(
        &mut self,
        fd: &OwnedFd,
        file: &FileFact,
        depth: usize,
    ) -> Result<Vec<LayerFact>, String> {
        if file.fs_type != magic::OVERLAY {
            return Ok(Vec::new());
        }
        if file.path == "/usr" || is_below(&file.path, "/usr") {
            return Ok(Vec::new());
        }
        let Some(mount) = self.scene.mounts.overlay(mount_id(fd)?).copied() else {
            return Ok(Vec::new());
        };
        let is_fixed = mount.has("ro") || mount.super_options.starts_with(b"ro");
        if is_fixed && usual(&text(mount.point)) == Usual::Host {
            return Ok(Vec::new());
        }
        let missing = |role, path: String, why: String| {
            vec![LayerFact { role, path, moved: false, source: SourceFact::Missing(why) }]
        };
        let shown = match shown_layers(&mount) {
            Ok(shown) if depth < STACKED => shown,
            Ok(_) => return Ok(missing(LayerRole::Lower, String::new(), "too deep".to_owned())),
            Err(why) => return Ok(missing(LayerRole::Lower, String::new(), format!("{why:#}"))),
        };
        let mut layers = Vec::new();
        for Shown { role, path, found, moved } in shown {
            let source = match found.and_then(|path| self.file(&path, false, depth + 1)) {
                Ok(layer) if layer.device == file.device => {
                    SourceFact::Missing("the overlay itself covers it".to_owned())
                }
                other => known(other),
            };
            let path = path.to_string_lossy().into_owned();
            layers.push(LayerFact { role, path, moved, source });
        }
        Ok(layers)
    }

    /// Adds what the host has in use of an open file. An ordinary caller has hooks and a log alone that a container
    /// could write.
    fn mark(&mut self, fd: &OwnedFd, file: &mut FileFact) -> Result<(), String> {
        let is_plain =
            matches!(file.kind, FileKind::Directory | FileKind::Regular | FileKind::Link);
        if !is_plain || magic::of_kernel(file.fs_type).is_some() {
            return Ok(());
        }
        let others = || self.scene.others.iter().flatten().any(|other| !other.hooks.is_empty());
        if !self.scene.root && self.scene.hooks.is_empty() && self.scene.log.is_empty() && !others()
        {
            return Ok(());
        }
        let used = match self.used.take() {
            Some(used) => used,
            None => InUse::look(&self.scene)?,
        };
        let spot = self.scene.mounts.spot(&file.path, mount_id(fd)?);
        file.used = used.of(file, spot.as_ref());
        self.used = Some(used);
        Ok(())
    }

    /// Adds the sockets of engines that lie deep in an open directory.
    fn mark_sockets(&mut self, fd: &OwnedFd, file: &mut FileFact) -> Result<(), String> {
        let sockets = match self.sockets.take() {
            Some(sockets) => sockets,
            None => Sockets::look(&self.scene)?,
        };
        if let Some(spot) = self.scene.mounts.spot(&file.path, mount_id(fd)?) {
            sockets.mark(file, &spot);
        }
        self.sockets = Some(sockets);
        Ok(())
    }

    /// What an open file is, and how else the host shows it.
    fn describe(&self, fd: &OwnedFd) -> Result<FileFact, String> {
        let stat = rustix::fs::fstat(fd).map_err(errno_text)?;
        let fs = rustix::fs::fstatfs(fd).map_err(errno_text)?;
        let path = name(fd, self.scene.proc)?;
        let mut file = FileFact { path, fs_type: fs.f_type as u64, ..from_stat(&stat) };
        // A namespace lies on no mount that anybody could see.
        if file.fs_type != magic::NSFS {
            self.scene.mounts.name(&mut file, mount_id(fd)?)?;
            self.name_above(&mut file)?;
            look::links(&stat, &mut file)?;
        }
        Ok(file)
    }

    /// Adds to `file` where something over a place of the host shows it.
    fn name_above(&self, file: &mut FileFact) -> Result<(), String> {
        let above = match self.above.get() {
            Some(above) => above,
            None => {
                let above = Above::look(self.scene.mounts.all(), self.scene.mounts.root())?;
                self.above.get_or_init(|| above)
            }
        };
        above.name(file);
        Ok(())
    }

    /// What is mounted below a directory and can be seen there.
    fn below(&mut self, top: &FileFact) -> Result<Vec<SubMount>, String> {
        let id = mount_id(&open(Path::new(&top.path), true)?)?;
        let mounts = self.scene.mounts.below(id, &top.path);
        if mounts.len() > SUBMOUNTS {
            return Err(format!("has {} mounts below it, {SUBMOUNTS} is the limit", mounts.len()));
        }
        let found = mounts.into_iter().map(|mount| self.submount(top, &mount));
        found.filter_map(Result::transpose).collect()
    }

    /// One mount; `None` when another one covers it. File systems of the kernel are known by name, and not opened.
    fn submount(
        &mut self,
        top: &FileFact,
        mount: &mountinfo::Mount<'_>,
    ) -> Result<Option<SubMount>, String> {
        let point = String::from_utf8_lossy(&mountinfo::unescape(mount.point)).into_owned();
        let kernels = magic::OF_KERNEL.iter().find(|(_, name)| *name == mount.fstype);
        let file = match kernels {
            Some((fs_type, _)) => {
                FileFact { path: point.clone(), fs_type: *fs_type, ..directory() }
            }
            // Its server may keep root out, or not answer: nothing is asked of it that mountinfo does not say.
            None if mount.base_type() == "fuse" => {
                if self.scene.mounts.is_covered(mount) {
                    return Ok(None);
                }
                let mut file =
                    FileFact { path: point.clone(), fs_type: magic::FUSE, ..directory() };
                self.scene.mounts.name(&mut file, mount.id)?;
                self.name_above(&mut file)?;
                if self.scene.root {
                    file.engine = self.engines.of(&file);
                }
                file
            }
            None => {
                let fd = open(Path::new(&point), true)?;
                if mount_id(&fd)? != mount.id {
                    return Ok(None);
                }
                let mut file = self.describe(&fd)?;
                self.mark(&fd, &mut file)?;
                if self.scene.root {
                    file.engine = self.engines.of(&file);
                    file.package = look::package(&file);
                    if look::is_open(&file) {
                        self.mark_sockets(&fd, &mut file)?;
                    }
                }
                file.layers = self.below_overlay(&fd, &file, 0)?;
                file
            }
        };
        let at = point.strip_prefix(&top.path).unwrap_or(&point).trim_start_matches('/');
        Ok(Some(SubMount { at: at.to_owned(), fs_name: mount.fstype.to_owned(), file }))
    }
}

fn directory() -> FileFact {
    FileFact { kind: FileKind::Directory, ..FileFact::default() }
}

fn known(file: Result<FileFact, String>) -> SourceFact {
    match file {
        Ok(file) => SourceFact::Found(Box::new(file)),
        Err(reason) => SourceFact::Missing(reason),
    }
}

fn open(path: &Path, nofollow: bool) -> Result<OwnedFd, String> {
    mount::open_path(path, nofollow).map_err(|error| errno_text(error.errno()))
}

fn from_stat(stat: &Stat) -> FileFact {
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    FileFact {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Link,
            FileType::Socket => FileKind::Socket,
            FileType::Fifo => FileKind::Fifo,
            FileType::CharacterDevice => FileKind::Char(major, minor),
            FileType::BlockDevice => FileKind::Block(major, minor),
            _ => FileKind::Regular,
        },
        device: stat.st_dev,
        inode: stat.st_ino,
        owner: stat.st_uid,
        ..FileFact::default()
    }
}
