//! Where a configuration lies, and for whom: what an engine chooses, and nobody who only tells it what to run.
//!
//! Users of `docker run --annotation --cgroup-parent`, of `ctr run --annotation --cgroup` and of nerdctl write any annotation and
//! any cgroup. The directory of the bundle they do not choose: the daemon makes it below its own state, of the
//! container's id and, under containerd, of its namespace. The state may be anywhere, so the last names count, and that only root
//! and the caller can have put the configuration there.
//!
//! Where this stops: who may use containerd's socket may use it in the namespace `k8s.io` too, and is root of the
//! node's pods in any case.

/// The id and the bundle of a container that is about to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// What the container is called; empty if nobody said.
    pub id: &'a str,
    /// The bundle's directory without links; empty unless nobody but root and the caller can have put the configuration there.
    pub bundle: &'a str,
}

/// What containerd's shims of the second version have above the namespaces: `TASKS/NAMESPACE/ID`.
const TASKS: &str = "io.containerd.runtime.v2.task";

/// The namespace of containerd's CRI service.
const CRI: &str = "k8s.io";

/// The namespace of dockerd.
const DOCKER: &str = "moby";

/// How the directories of containers/storage end that have those of containers in them: `overlay-containers/ID/userdata`.
const STORAGE: &str = "-containers";

impl<'a> Origin<'a> {
    /// Whether containerd's CRI service keeps the bundle, and has put the container into a cgroup of its own: `SLICE:cri-containerd:ID`
    /// below a slice, `/PARENT/ID` below anything else.
    pub(crate) fn is_of_containerd(self, cgroup: &str) -> bool {
        let in_cgroup = match cgroup.split_once(':') {
            Some((_, name)) => name.strip_prefix("cri-containerd:") == Some(self.id),
            None => last(cgroup) == self.id,
        };
        let [above, namespace, id] = self.last_names();
        in_cgroup && self.is_its_own(id) && namespace == CRI && above == TASKS
    }

    /// Whether CRI-O keeps the bundle, and has put the container into a cgroup of its own: `SLICE:crio:ID`, or `/PARENT/crio-ID`.
    pub(crate) fn is_of_crio(self, cgroup: &str) -> bool {
        let in_cgroup = match cgroup.split_once(':') {
            Some((_, name)) => name.strip_prefix("crio:") == Some(self.id),
            None => last(cgroup).strip_prefix("crio-") == Some(self.id),
        };
        let [above, id, name] = self.last_names();
        in_cgroup && name == "userdata" && self.is_its_own(id) && above.ends_with(STORAGE)
    }

    /// Whether dockerd keeps the bundle, in its own containerd or another one.
    pub(crate) fn is_of_docker(self) -> bool {
        let [above, namespace, id] = self.last_names();
        self.is_its_own(id) && namespace == DOCKER && above == TASKS
    }

    /// The last three names of the bundle's path, as far as there are so many.
    fn last_names(self) -> [&'a str; 3] {
        let mut names = self.bundle.rsplit('/');
        let mut next = || names.next().unwrap_or_default();
        let (last, second, third) = (next(), next(), next());
        [third, second, last]
    }

    fn is_its_own(self, id: &str) -> bool {
        !id.is_empty() && id == self.id
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
