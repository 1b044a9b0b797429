//! Labels of files, and whom they open them to.

use casemate_sys::errno_text;
use std::path::Path;

/// The extended attribute that holds a file's label.
pub(super) const XATTR: &str = "security.selinux";

/// Types of files that processes of containers may use as a root file system, beside the configured one.
const READABLE: [&str; 4] =
    ["container_file_t", "container_ro_file_t", "container_share_t", "svirt_sandbox_file_t"];

/// Whether a process with the categories of `own` may use files with the label `found`, as far as types of containers go.
pub(crate) fn opens(found: &str, own: &str) -> bool {
    let parts = |label: &str| {
        let mut parts = label.splitn(5, ':').map(str::to_owned).skip(2);
        [(); 3].map(|()| parts.next().unwrap_or_default())
    };
    let ([kind, _, categories], [own_kind, _, own_categories]) = (parts(found), parts(own));
    let known = kind == own_kind || READABLE.contains(&kind.as_str());
    known && (categories.is_empty() || categories == own_categories)
}

/// The label of a file or directory.
pub(crate) fn label_of(path: &Path) -> Result<String, String> {
    let mut bytes = [0; 512];
    let length = rustix::fs::getxattr(path, XATTR, &mut bytes[..]).map_err(errno_text)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    Ok(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_opened_by_type_and_categories() {
        let own = "system_u:object_r:container_file_t:s0:c1,c2";
        for found in [own, "u:object_r:container_ro_file_t:s0", "u:r:container_share_t:s0:c1,c2"] {
            assert!(opens(found, own), "{found}");
        }
        for found in ["u:object_r:container_file_t:s0:c1,c3", "u:object_r:user_home_t:s0", "", "x"]
        {
            assert!(!opens(found, own), "{found}");
        }
        let mine = "system_u:object_r:mine_t:s0:c1,c2";
        assert!(opens("system_u:object_r:mine_t:s0", mine));
    }
}
