//! Which of the places that a read-only root leaves writable the image has. A place is looked up once, without links: what the
//! image calls `/var/run` is usually `/run`, which needs no second tmpfs.

use crate::decide::bundle::Bundle;
use casemate_policy::optional_places;
use casemate_policy::spec::Spec;
use casemate_sys::{mount, path};
use std::path::Path;

/// The places, as the profile writes them. None when the root is read-only already, or cannot be opened, which is reported by
/// those who need it.
pub(super) fn present(spec: &Spec, bundle: &Bundle) -> Vec<String> {
    if spec.root.readonly {
        return Vec::new();
    }
    let Ok(root) = mount::open_path(&bundle.resolve(&spec.root.path), false) else {
        return Vec::new();
    };
    let exists = |place: &&str| path::is_plain_dir(&root, Path::new(place));
    optional_places().filter(exists).map(str::to_owned).collect()
}
