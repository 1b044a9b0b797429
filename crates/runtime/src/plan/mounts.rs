//! `mounts`: option strings to attributes, sources to absolute paths, ids to the host's.

use super::filesystem::{filesystem, label_option};
use super::mount_context::MountContext;
use crate::plan::propagation_of;
use crate::resolve::ids::{mapping_namespace, IdMaps};
use crate::resolve::userns::idmap::{Mapper, Wanted};
use crate::unmappable::Unmappable;
use anyhow::{anyhow, bail, Context, Result};
use casemate_kernel::magic;
use casemate_kernel::InnerId;
use casemate_policy::mount_options::{attr, Depth, MountPlanFlags};
use casemate_policy::spec::{Mount, NamespaceKind, Spec};
use casemate_policy::{FileFact, HardenedSpec, LayerFact, LayerRole, SourceFact};
use casemate_sandbox::plan::{Content, DetachedTree, MountPlan, MountSource};
use casemate_sys::path::Links;
use casemate_sys::Context as _;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FileType;
use std::path::{Component, Path, PathBuf};

/// Lower all mounts.
pub(super) fn lower(spec: &HardenedSpec, context: &MountContext<'_>) -> Result<Vec<MountPlan>> {
    let lower_one = |(own, mount): (Option<usize>, &Mount)| {
        let label = match own {
            Some(index) => format!("mounts[{index}] {}", mount.destination),
            None => format!("root.tmpfs {}", mount.destination),
        };
        let source = own.and_then(|index| context.sources.get(&index));
        let layers = own.and_then(|index| context.layers.get(&index));
        let judged = (source, layers);
        let mut plan = one(spec, mount, label.clone(), judged, context).context(label)?;
        if own.is_none() {
            share_content(&mut plan.source);
        }
        Ok(plan)
    };
    spec.numbered_mounts().map(lower_one).collect()
}

/// A new mount of a cgroup file system.
fn is_cgroup(mount: &Mount) -> bool {
    matches!(mount.kind.as_deref(), Some("cgroup" | "cgroup2"))
}

/// A place of the profile's own has no size that anybody asked for.
fn share_content(source: &mut MountSource) {
    if let MountSource::Filesystem { content: content @ Content::Copy, .. } = source {
        *content = Content::CopyOrLayer;
    }
}

fn one(
    spec: &HardenedSpec,
    mount: &Mount,
    label: String,
    (judged, layers): (Option<&SourceFact>, Option<&Vec<LayerFact>>),
    context: &MountContext<'_>,
) -> Result<MountPlan> {
    let flags = MountPlanFlags::parse(&mount.options)?;
    let destination = normalise(&mount.destination)?;
    let source = match (flags.bind, flags.remount) {
        (None, true) => MountSource::Remount,
        (Some(depth), _) => bind(mount, &flags, depth, judged, context)?,
        (None, false) if is_cgroup(mount) => cgroup(context)?,
        (None, false) if matches!(mount.kind.as_deref(), Some("bind" | "none")) => {
            // As fsopen(2) says it, and mount(2) said it before.
            bail!("a mount of type bind needs the option bind or rbind: no such device (ENODEV)")
        }
        (None, false) => match overlay(spec, mount, layers, &flags, context)? {
            Some(source) => source,
            None => filesystem(spec, mount, &flags, context)?,
        },
    };
    let (mut attrs, mut recursive_attrs) = (flags.attrs, flags.recursive_attrs);
    if spec.is_verbatim() && flags.bind.is_some() {
        // Every other profile keeps what the host's mount has and the bundle does not name.
        attrs =
            flags.remounted(spec.linux.namespaces.iter().any(|n| n.kind == NamespaceKind::User));
        if crate::decide::caller::kernel_release() < (5, 14) && attrs.set & attr::NOSYMFOLLOW == 0 {
            // Unknown there, and no mount has it.
            attrs.clear &= !attr::NOSYMFOLLOW;
        }
    }
    if matches!(source, MountSource::Bind { prepared: Some(_), .. })
        && spec.overrides().allows("mounts.suid").is_none()
    {
        // Root of the container can make files there that belong to root of the host.
        attrs.set |= attr::NOSUID;
        attrs.clear &= !attr::NOSUID;
        recursive_attrs.set |= attr::NOSUID;
        recursive_attrs.clear &= !attr::NOSUID;
    }
    let mut propagation: Vec<_> =
        flags.propagation.iter().map(|word| propagation_of(*word)).collect();
    if is_cgroup(mount) {
        // The host's own, where there is no cgroup namespace, must not get from us what is mounted on it.
        propagation.insert(0, (casemate_sys::mount::propagation::PRIVATE, true));
    }
    let atime =
        |change: u64, set: u64| if set & attr::ATIME != 0 { change | attr::ATIME } else { change };
    Ok(MountPlan {
        label,
        links: links_for(&destination, flags.dest_nofollow),
        destination,
        source,
        set: attrs.set,
        clear: atime(attrs.clear, attrs.set),
        recursive_set: recursive_attrs.set,
        recursive_clear: atime(recursive_attrs.clear, recursive_attrs.set),
        propagation,
    })
}

/// Absolute, without `.` and `..`; never the root itself, which is not ours to cover.
fn normalise(destination: &str) -> Result<PathBuf> {
    let mut path = PathBuf::from("/");
    for component in Path::new(destination).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            _ => {}
        }
    }
    if path == Path::new("/") {
        bail!("the container's root cannot be mounted over");
    }
    Ok(path)
}

/// Kernel file systems and device directories go onto ordinary directories only, never through links of the image
/// (CVE-2019-19921, CVE-2023-27561, CVE-2026-41579).
fn links_for(destination: &Path, nofollow: bool) -> Links {
    let kernel = ["/proc", "/sys", "/dev"].iter().any(|dir| destination.starts_with(dir));
    if kernel || nofollow {
        Links::Refused
    } else {
        Links::InRoot
    }
}

fn bind(
    mount: &Mount,
    flags: &MountPlanFlags,
    depth: Depth,
    judged: Option<&SourceFact>,
    context: &MountContext<'_>,
) -> Result<MountSource> {
    let source = mount.source.as_deref().ok_or_else(|| anyhow!("a bind mount needs a source"))?;
    // What could not be judged is not mounted, even if it appears in the meantime.
    let identity = match judged {
        Some(SourceFact::Missing(reason)) => {
            bail!("source {}: {reason}", context.bundle.resolve(source).display())
        }
        Some(SourceFact::Found(file)) => Some((file.device, file.inode)),
        None => None,
    };
    // Options for a file system mean nothing here: the bound one exists already. mount(8) ignores them too, and images of
    // tools that add `mode=` to every mount are many.
    let (path, recursive) = (context.bundle.resolve(source), depth == Depth::Recursive);
    let idmap = idmap(mount, flags, context)?;
    let file = match judged {
        Some(SourceFact::Found(file)) => Some(file.as_ref()),
        _ => None,
    };
    let wanted = Wanted {
        recursive,
        read_only: (flags.attrs.set | flags.recursive_attrs.set) & attr::RDONLY != 0,
        all_read_only: flags.recursive_attrs.set & attr::RDONLY != 0,
        has_namespaces: context.clones && recursive && file.is_some_and(has_namespaces),
    };
    let mapper = match context.mapper {
        Some(mapper) if idmap.is_none() => Some(mapper),
        _ if wanted.has_namespaces => {
            Some(Mapper { proc: context.proc, userns: None, propagation: context.propagation })
        }
        _ => None,
    };
    let nofollow = flags.source_nofollow || flags.copy_symlink;
    let prepared = match &mapper {
        Some(mapper) => {
            if let Some(image) = super::images::image(mapper, &path, file, wanted)? {
                return Ok(image);
            }
            prepare(mapper, &path, (wanted, nofollow), identity)?
        }
        None => None,
    };
    Ok(MountSource::Bind {
        path,
        recursive,
        nofollow: flags.source_nofollow,
        identity,
        copy_symlink: flags.copy_symlink,
        idmap,
        prepared,
    })
}

/// The source with the container's ids. A link that is to stay one has none to be shown.
fn prepare(
    mapper: &Mapper<'_>,
    path: &Path,
    (wanted, nofollow): (Wanted, bool),
    identity: Option<(u64, u64)>,
) -> Result<Option<DetachedTree>> {
    let about = || format!("source {}", path.display());
    let source = casemate_sys::mount::open_path(path, nofollow).with_context(about)?;
    let st = rustix::fs::fstat(&source).call(|| "fstat()").with_context(about)?;
    if identity.is_some_and(|identity| identity != (st.st_dev, st.st_ino)) {
        bail!("{}: changed while it was looked at", about());
    }
    if FileType::from_raw_mode(st.st_mode) == FileType::Symlink {
        return Ok(None);
    }
    mapper.tree(&source, path, wanted).map(Some).with_context(about)
}

fn has_namespaces(file: &FileFact) -> bool {
    file.below.iter().any(|mount| mount.file.fs_type == magic::NSFS)
}

/// The user namespace of an idmapped mount. Mappings without the option ask for one too: podman sends them so.
fn idmap(
    mount: &Mount,
    flags: &MountPlanFlags,
    context: &MountContext<'_>,
) -> Result<Option<(OwnedFd, bool)>> {
    let recursive = flags.idmap == Some(Depth::Recursive);
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        let mut maps = IdMaps { uid: mount.uid_mappings.clone(), gid: mount.gid_mappings.clone() };
        if context.mapper.is_some() {
            // What the bundle calls the host's ids is what the container would have seen without a user namespace.
            translate_maps(&mut maps, context.ids)?;
        }
        return Ok(Some((mapping_namespace(context.proc, &maps)?, recursive)));
    }
    if flags.idmap.is_none() {
        return Ok(None);
    }
    let namespace = context.user_namespace.ok_or_else(|| {
        anyhow!("idmap needs uidMappings and gidMappings, of the mount or of the container")
    })?;
    Ok(Some((
        namespace.as_fd().try_clone_to_owned().map_err(|e| crate::files::io_error_text(&e))?,
        recursive,
    )))
}

fn translate_maps(maps: &mut IdMaps, ids: &IdMaps) -> Result<()> {
    let unmapped = |id: InnerId| {
        Unmappable::new(format!(
            "a mount shows files as those of {id}, an id that the container does not have"
        ))
    };
    // What a mount's own mapping calls the host's side is the container's (config.md, "mounts": uidMappings).
    for range in &mut maps.uid {
        let outside = InnerId(range.host_id.0);
        range.host_id = ids.host_uid(outside).ok_or_else(|| unmapped(outside))?;
    }
    for range in &mut maps.gid {
        let outside = InnerId(range.host_id.0);
        range.host_id = ids.host_gid(outside).ok_or_else(|| unmapped(outside))?;
    }
    Ok(())
}

/// A cgroup2 mount shows the container's own cgroup as its root if it has a cgroup namespace. Without one a new mount
/// would also set the options of the host's own, so the host's is bound.
fn cgroup(context: &MountContext<'_>) -> Result<MountSource> {
    let mount = context.cgroup_mount.clone();
    if context.own_cgroup_namespace {
        return Ok(MountSource::Filesystem {
            fstype: "cgroup2".to_owned(),
            source: Some("cgroup".to_owned()),
            options: Vec::new(),
            label: None,
            or_bind: context.cgroup_dir.clone(),
            content: Content::Nothing,
            inherit_mode: false,
        });
    }
    let path = mount.ok_or_else(|| anyhow!("this host has no cgroup2 file system to show"))?;
    Ok(MountSource::Bind {
        path,
        recursive: true,
        nofollow: false,
        identity: None,
        copy_symlink: false,
        idmap: None,
        prepared: None,
    })
}

/// An overlay from the layers that the configuration names. `None`: another type, or options that are none of an overlay's
/// as far as they are known, which the kernel may read (only a profile that judges nothing comes this far with them).
fn overlay(
    spec: &Spec,
    mount: &Mount,
    judged: Option<&Vec<LayerFact>>,
    flags: &MountPlanFlags,
    context: &MountContext<'_>,
) -> Result<Option<MountSource>> {
    if mount.kind.as_deref() != Some("overlay") {
        return Ok(None);
    }
    // As said above: its control has refused them in every other profile.
    let Ok(named) = casemate_policy::layers(mount) else { return Ok(None) };
    let identity = |index: usize| match judged.and_then(|judged| judged.get(index)) {
        Some(LayerFact { path, source: SourceFact::Missing(why), .. }) => {
            Err(anyhow!("layer {path}: {why}"))
        }
        Some(LayerFact { source: SourceFact::Found(file), .. }) => {
            Ok(Some((file.device, file.inode)))
        }
        None => Ok(None),
    };
    let resolve = |(index, (role, path)): (usize, (LayerRole, String))| {
        Ok((role, context.bundle.resolve(&path), identity(index)?))
    };
    let layers = named.into_iter().enumerate().map(resolve).collect::<Result<Vec<_>>>()?;
    let other = flags.data.iter().filter(|option| !casemate_policy::is_layer(&option.key));
    let mut options: Vec<_> = other.map(|o| (o.key.clone(), o.value.clone())).collect();
    options.extend(label_option(spec, "overlay")?);
    let mapper = context.mapper.as_ref();
    let plan =
        crate::resolve::overlay::from_layers(context.proc, &layers, options, mapper.is_some());
    let plan = match (plan, mapper) {
        (Err(error), Some(_)) => {
            return Err(Unmappable::new(format!("{}: {error:#}", mount.destination)).into())
        }
        (plan, _) => Box::new(plan?),
    };
    let userns = mapper.map(Mapper::userns).transpose()?.flatten();
    Ok(Some(MountSource::Overlay { plan, userns }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_resolved_before_it_is_used() {
        assert_eq!(normalise("proc/../sys/./fs").unwrap(), Path::new("/sys/fs"));
        assert_eq!(normalise("/../../etc").unwrap(), Path::new("/etc"));
        assert!(normalise("/").is_err());
        assert!(normalise("/a/..").is_err());
    }

    #[test]
    fn kernel_directories_are_not_reached_through_links() {
        assert_eq!(links_for(Path::new("/proc/sys"), false), Links::Refused);
        assert_eq!(links_for(Path::new("/dev"), false), Links::Refused);
        assert_eq!(links_for(Path::new("/var/run"), false), Links::InRoot);
        assert_eq!(links_for(Path::new("/var/run"), true), Links::Refused);
    }
}
