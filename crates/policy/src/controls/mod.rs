//! The rules, one family per file. Each is a function over the draft; none looks at the profile's name,
//! only at its data.

pub(crate) mod auto_userns;
pub(crate) mod bundle;
pub(crate) mod capabilities;
pub(crate) mod devices;
pub(crate) mod flags;
pub(crate) mod host;
pub(crate) mod landlock;
pub(crate) mod limits;
pub(crate) mod lsm;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod paths;
pub(crate) mod process;
pub(crate) mod resources;
pub(crate) mod root;
pub(crate) mod seccomp;
pub(crate) mod selinux;
pub(crate) mod sources;
pub(crate) mod userns;
