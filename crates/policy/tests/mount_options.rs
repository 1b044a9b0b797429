//! What mount option strings mean.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use casemate_policy::mount_options::{attr, superblock, AttrChange, Depth, MountPlanFlags};
use casemate_policy::spec::Propagation;

fn parse(options: &[&str]) -> MountPlanFlags {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    MountPlanFlags::parse(&options).unwrap()
}

/// Every option that the specification 1.3 says a runtime must, should or may know.
const SPECIFIED: &str = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime \
    nodev nodiratime noexec noiversion nolazytime norelatime nostrictatime nosuid private rbind relatime \
    remount ro rprivate rshared rslave runbindable rw shared silent slave strictatime suid sync unbindable \
    nosymfollow symfollow ratime rdev rdiratime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime \
    rnostrictatime rnosuid rnosymfollow rro rrelatime rrw rstrictatime rsuid rsymfollow idmap ridmap \
    mand nomand tmpcopyup acl noacl copy-symlink src-nofollow dest-nofollow";

#[test]
fn every_specified_option_is_known_and_none_is_file_system_data() {
    let mut specified: Vec<&str> = SPECIFIED.split_whitespace().collect();
    specified.sort_unstable();
    assert_eq!(MountPlanFlags::known_options(), specified);
    for option in specified {
        assert_eq!(parse(&[option]).data, [], "{option}");
    }
}

#[test]
fn attributes_become_bits_to_set_and_to_clear() {
    let flags = parse(&["ro", "nosuid", "nodev", "noexec", "nosymfollow", "nodiratime"]);
    let bits = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let bits = bits | attr::NOSYMFOLLOW | attr::NODIRATIME;
    assert_eq!(flags.attrs, AttrChange { set: bits, clear: 0 });
    assert_eq!(bits, 0x0020_008f);
    let flags = parse(&["rw", "suid", "dev", "exec", "symfollow", "diratime"]);
    assert_eq!(flags.attrs, AttrChange { set: 0, clear: bits });
    assert!(flags.recursive_attrs.is_empty());
}

#[test]
fn the_later_of_two_contrary_options_wins() {
    assert_eq!(parse(&["ro", "rw"]).attrs, AttrChange { set: 0, clear: attr::RDONLY });
    assert_eq!(parse(&["rw", "ro"]).attrs, AttrChange { set: attr::RDONLY, clear: 0 });
    assert_eq!(parse(&["noexec", "exec", "noexec"]).attrs.set, attr::NOEXEC);
}

#[test]
fn access_time_modes_are_exchanged_as_a_whole() {
    let mode = |set| AttrChange { set, clear: attr::ATIME };
    assert_eq!(parse(&["noatime"]).attrs, mode(attr::NOATIME));
    assert_eq!(parse(&["strictatime"]).attrs, mode(attr::STRICTATIME));
    assert_eq!(parse(&["relatime"]).attrs, mode(attr::RELATIME));
    assert_eq!(parse(&["noatime", "strictatime"]).attrs, mode(attr::STRICTATIME));
    assert_eq!(parse(&["noatime", "atime"]).attrs, mode(attr::RELATIME));
    assert_eq!(parse(&["strictatime", "atime"]).attrs, mode(attr::STRICTATIME));
    assert_eq!(parse(&["strictatime", "nostrictatime"]).attrs, mode(attr::RELATIME));
    assert!(parse(&["norelatime"]).attrs.is_empty());
    assert_eq!(parse(&["rnoatime"]).recursive_attrs, mode(attr::NOATIME));
    let mixed = parse(&["nosuid", "noatime"]).attrs;
    assert_eq!(mixed, AttrChange { set: attr::NOSUID | attr::NOATIME, clear: attr::ATIME });
}

#[test]
fn recursive_forms_do_not_touch_the_single_ones() {
    let flags = parse(&["rro", "rnosuid", "rexec", "nodev"]);
    assert_eq!(flags.attrs, AttrChange { set: attr::NODEV, clear: 0 });
    let wanted = AttrChange { set: attr::RDONLY | attr::NOSUID, clear: attr::NOEXEC };
    assert_eq!(flags.recursive_attrs, wanted);
    assert_eq!(flags.superblock_set, 0);
}

#[test]
fn superblock_options_have_fsconfig_names() {
    let flags = parse(&["ro", "sync", "dirsync", "lazytime", "mand", "silent", "iversion"]);
    assert_eq!(flags.fsconfig_flags(), ["ro", "sync", "mand", "dirsync", "lazytime"]);
    assert_ne!(flags.superblock_set & superblock::I_VERSION, 0);
    let flags = parse(&["sync", "async", "ro", "rw"]);
    assert_eq!(flags.fsconfig_flags(), Vec::<&str>::new());
    assert_eq!(flags.superblock_clear, superblock::SYNCHRONOUS | superblock::RDONLY);
}

#[test]
fn binding_is_recursive_when_either_option_says_so() {
    assert_eq!(parse(&[]).bind, None);
    assert_eq!(parse(&["bind"]).bind, Some(Depth::Single));
    assert_eq!(parse(&["rbind", "bind"]).bind, Some(Depth::Recursive));
    assert_eq!(parse(&["bind", "rbind"]).bind, Some(Depth::Recursive));
    assert_eq!(parse(&["idmap"]).idmap, Some(Depth::Single));
    assert_eq!(parse(&["idmap", "ridmap"]).idmap, Some(Depth::Recursive));
}

#[test]
fn propagation_keeps_its_order() {
    let flags = parse(&["rprivate", "shared"]);
    assert_eq!(flags.propagation, [Propagation::Rprivate, Propagation::Shared]);
}

#[test]
fn what_is_not_known_is_file_system_data() {
    let flags = parse(&["mode=1777", "size=64k,uid=0", "newinstance", ""]);
    let data: Vec<(&str, Option<&str>)> =
        flags.data.iter().map(|option| (option.key.as_str(), option.value.as_deref())).collect();
    let wanted =
        [("mode", Some("1777")), ("size", Some("64k")), ("uid", Some("0")), ("newinstance", None)];
    assert_eq!(data, wanted);
}

#[test]
fn quotes_and_backslashes_protect_commas() {
    let flags = parse(&["context=\"system_u:object_r:x_t:s0:c1,c2\",rootcontext=\"a,b\""]);
    assert_eq!(flags.data[0].value.as_deref(), Some("system_u:object_r:x_t:s0:c1,c2"));
    assert_eq!(flags.data[1].value.as_deref(), Some("a,b"));
    let flags = parse(&["lowerdir=/a\\,b:/c\\:d,index=off"]);
    assert_eq!(flags.data[0].value.as_deref(), Some("/a,b:/c\\:d"));
    assert_eq!(flags.data[1].key, "index");
    let error = MountPlanFlags::parse(&["context=\"a".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "options[0]: \"context=\\\"a\": a quote is not closed");
}
