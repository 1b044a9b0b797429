//! The one failure of a plan that has another way out.

/// Why a container's files cannot be shown with its ids: the container then has none of its own, or is refused.
#[derive(Debug)]
pub(crate) struct Unmappable {
    pub(crate) why: String,
    /// Only because the kernel is older than id mappings of a file system that engines make for every container.
    pub(crate) old_kernel: bool,
}

impl Unmappable {
    pub(crate) fn new(why: String) -> Self {
        Self { why, old_kernel: false }
    }
}

impl std::fmt::Display for Unmappable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Unmappable {}
