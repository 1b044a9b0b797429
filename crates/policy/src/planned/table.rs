//! The mounts of a plan as mountinfo would have them, so that the same statements hold for what is planned and for what is
//! there.

use super::facts::PlanFacts;
use crate::check::clean;
use crate::facts::{FileKind, SourceFact};
use crate::hardened::HardenedSpec;
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::{Mount as Asked, NamespaceKind, Propagation};
use casemate_kernel::mountinfo::{escape, unescape, Mount, Superblock};
use casemate_kernel::path::{inside, is_within};
use casemate_kernel::MountTree;
use std::borrow::Cow;

/// Numbers of file systems that the host does not have: its own without a device count from 1 up.
const FIRST_NEW: u32 = 1 << 19;

/// Of what hides a path, or makes it read-only.
const HIDING: u64 = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;

/// One mount that will be there.
pub(super) struct Line {
    id: u64,
    parent: u64,
    superblock: Superblock,
    /// Escaped, as the mount point.
    root: Cow<'static, [u8]>,
    point: Vec<u8>,
    flags: u64,
    /// The same as text; empty until all is known.
    attributes: Cow<'static, str>,
    peers: Option<u64>,
    fstype: Cow<'static, str>,
    /// Options of the file system, escaped.
    options: Cow<'static, str>,
    /// Nothing lies below its place.
    is_file: bool,
}

struct Builder<'h, 't> {
    host: MountTree<'h, 't>,
    /// A cgroup file system begins with the root of a cgroup namespace, and not with the host's.
    own_cgroups: bool,
    lines: Vec<Line>,
}

pub(super) fn of(spec: &HardenedSpec, facts: &PlanFacts<'_>, host: &[Mount<'_>]) -> Vec<Line> {
    let own_cgroups = spec.namespace(NamespaceKind::Cgroup).is_some_and(|namespace| {
        namespace.path.is_none() || !facts.host_namespaces.contains(&NamespaceKind::Cgroup)
    });
    let mut builder = Builder { host: MountTree::new(host), own_cgroups, lines: Vec::new() };
    builder.root(spec, facts.rootfs);
    for (index, mount) in spec.numbered_mounts() {
        let led_to = index.and_then(|index| facts.sources.get(&index));
        let is_file =
            matches!(led_to, Some(SourceFact::Found(file)) if file.kind != FileKind::Directory);
        builder.mount(mount, (&source(mount, led_to, facts), is_file));
    }
    for path in &spec.linux.readonly_paths {
        builder.read_only(&clean(path));
    }
    for path in &spec.linux.masked_paths {
        builder.mask(&clean(path));
    }
    for line in &mut builder.lines {
        line.attributes = attributes(line.flags);
    }
    builder.lines
}

/// The path of a bind's source, without links where somebody has followed them.
fn source(mount: &Asked, led_to: Option<&SourceFact>, facts: &PlanFacts<'_>) -> String {
    let asked = mount.source.as_deref().unwrap_or_default();
    match led_to {
        Some(SourceFact::Found(file)) if file.path.starts_with('/') => file.path.clone(),
        _ if asked.starts_with('/') => clean(asked).into_owned(),
        _ => clean(&format!("{}/{asked}", facts.bundle)).into_owned(),
    }
}

impl Builder<'_, '_> {
    fn root(&mut self, spec: &HardenedSpec, rootfs: &str) {
        let mut line = self.of_host("/", rootfs);
        line.parent = 0;
        line.flags = if spec.root.readonly { attr::RDONLY } else { 0 };
        let shared = matches!(
            spec.linux.rootfs_propagation,
            Some(Propagation::Shared | Propagation::Rshared)
        );
        line.peers = line.peers.filter(|_| shared);
        self.lines.push(line);
    }

    fn mount(&mut self, mount: &Asked, (source, is_file): (&str, bool)) {
        // What cannot be understood is not mounted.
        let Ok(flags) = MountPlanFlags::parse(&mount.options) else { return };
        let place = clean(&mount.destination);
        if flags.remount {
            return;
        }
        let kind = mount.kind.as_deref().unwrap_or("none");
        let mut line = match (flags.bind, kind) {
            (Some(_), _) => self.of_host(&place, source),
            (None, "cgroup" | "cgroup2") if !self.own_cgroups => {
                self.of_host(&place, "/sys/fs/cgroup")
            }
            (None, "cgroup" | "cgroup2") => self.new_one(&place, "cgroup2".into()),
            (None, other) => self.new_one(&place, other.to_owned().into()),
        };
        line.flags = flags.attrs.set | flags.recursive_attrs.set;
        let shared = mount.options.iter().any(|option| option == "shared" || option == "rshared");
        line.peers = line.peers.filter(|_| shared);
        let data = flags.data.iter().map(|option| match &option.value {
            Some(value) => format!(",{}={}", shown(&option.key), shown(value)),
            None => format!(",{}", shown(&option.key)),
        });
        line.options.to_mut().extend(data);
        line.is_file = is_file && flags.bind.is_some();
        self.lines.push(line);
    }

    /// The same file system once more, read-only.
    fn read_only(&mut self, path: &str) {
        let Some((inside, of)) = self.visible(path) else { return };
        if of.is_file && !inside.is_empty() {
            // Nothing is there, so nothing of it can be shown again.
            return self.mask(path);
        }
        let line = Line {
            root: joined(&of.root, &inside).into(),
            flags: HIDING,
            superblock: of.superblock,
            fstype: of.fstype.clone(),
            ..self.new_one(path, "".into())
        };
        self.lines.push(line);
    }

    fn mask(&mut self, path: &str) {
        let line = Line { flags: HIDING, ..self.new_one(path, "tmpfs".into()) };
        self.lines.push(line);
    }

    /// A file system that is made for the container.
    fn new_one(&self, place: &str, fstype: Cow<'static, str>) -> Line {
        let point = escape(place.as_bytes());
        let number = self.lines.len();
        Line {
            id: number as u64 + 1,
            parent: self.holder(&point).map_or(0, |line| line.id),
            superblock: Superblock {
                major: 0,
                minor: FIRST_NEW + u32::try_from(number).unwrap_or(u32::MAX >> 1),
            },
            root: Cow::Borrowed(b"/"),
            point: point.into_owned(),
            flags: 0,
            attributes: Cow::Borrowed(""),
            peers: None,
            fstype,
            options: Cow::Borrowed("rw"),
            is_file: false,
        }
    }

    /// A part of the host's tree. Links in the path are not followed: the kernel's state is looked at again.
    fn of_host(&self, place: &str, source: &str) -> Line {
        let line = self.new_one(place, "none".into());
        let Some(mount) = self.host.visible(source) else { return line };
        let point = unescape(mount.point);
        let point = text(&point);
        let rest = source.strip_prefix(point.trim_end_matches('/')).unwrap_or_default();
        Line {
            superblock: mount.superblock,
            root: joined(mount.root, &escape(rest.as_bytes())).into(),
            peers: mount.shared,
            fstype: mount.fstype.to_owned().into(),
            options: text(mount.super_options).into(),
            ..line
        }
    }

    /// The mount that a place lies on: of those above it the latest, which hides what was there before, on whatever level.
    fn holder(&self, point: &[u8]) -> Option<&Line> {
        self.lines.iter().rfind(|line| is_within(point, &line.point))
    }

    /// What is seen at a path, and where in it the path is, escaped.
    fn visible(&self, path: &str) -> Option<(Vec<u8>, &Line)> {
        let path = escape(path.as_bytes());
        let line = self.holder(&path)?;
        Some((inside(&path, &line.point)?.to_vec(), line))
    }
}

/// What is `inside` of a mount that shows `root`, as mountinfo writes it: the top of a file system is `/`.
fn joined(root: &[u8], inside: &[u8]) -> Vec<u8> {
    let mut path = root.strip_suffix(b"/").unwrap_or(root).to_vec();
    path.extend_from_slice(inside.strip_suffix(b"/").unwrap_or(inside));
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

impl Line {
    /// As the parser of mountinfo has it.
    pub(super) fn mount(&self) -> Mount<'_> {
        Mount {
            id: self.id,
            parent: self.parent,
            superblock: self.superblock,
            root: &self.root,
            point: &self.point,
            options: &self.attributes,
            shared: self.peers,
            master: None,
            fstype: if self.fstype.is_empty() { "none" } else { &self.fstype },
            source: b"none",
            super_options: self.options.as_bytes(),
        }
    }
}

/// Options of a mount, from its attributes.
fn attributes(flags: u64) -> Cow<'static, str> {
    // What most have.
    if flags == HIDING {
        return Cow::Borrowed("ro,nosuid,nodev,noexec");
    }
    const NAMES: [(u64, &str); 4] = [
        (attr::NOSUID, ",nosuid"),
        (attr::NODEV, ",nodev"),
        (attr::NOEXEC, ",noexec"),
        (attr::NOSYMFOLLOW, ",nosymfollow"),
    ];
    let mut text = if flags & attr::RDONLY == 0 { "rw" } else { "ro" }.to_owned();
    for (_, name) in NAMES.iter().filter(|(bit, _)| flags & bit != 0) {
        text.push_str(name);
    }
    text.into()
}

/// As the kernel shows it.
fn shown(text: &str) -> String {
    String::from_utf8_lossy(&escape(text.as_bytes())).into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
