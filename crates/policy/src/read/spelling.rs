//! Names of properties in other letters than the specification's.
//!
//! Go's reader of JSON takes a name in any letter case, and runc and the engines are written in Go: a `Namespaces` or a `pagesize`
//! is in force under runc, and a restriction that is written so must not be lost here. Only a document that cannot be read, or
//! that has a property nobody knows, gets here; any other one is read once and pays nothing for this.
//!
//! Keys of maps (annotations, kernel parameters, cgroup files, devices' names) mean something as they stand, in Go too.

use crate::admit::owners;
use crate::spec::{SpecError, Warning};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// Why a document is not read once more.
pub(super) enum Fault {
    /// A property is there twice.
    Doubled(SpecError),
    /// It cannot be taken apart: lies deeper, or has other numbers and characters, than the reader of JSON takes.
    Unreadable(SpecError),
}

/// The document with the names that the specification has, and each place where it had another one; `None` where nothing is to be
/// changed. `root` is the place of the whole document in a configuration.
///
/// # Errors
/// A property that is there twice, in two spellings. Go takes the last one, and who reads the other one is told something else;
/// two of one spelling are refused just so.
pub(super) fn corrected(text: &str, root: &str) -> Result<Option<(String, Vec<Warning>)>, Fault> {
    let tree = serde_json::from_str::<Tree>(text);
    let mut tree =
        tree.map_err(|error| Fault::Unreadable(SpecError::new("", error.to_string())))?;
    let mut changed = Vec::new();
    correct(&mut tree, root, String::new(), &mut changed).map_err(Fault::Doubled)?;
    if changed.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(&tree);
    let text = text.map_err(|error| Fault::Unreadable(SpecError::new("", error.to_string())))?;
    Ok(Some((text, changed)))
}

/// Whether the last part of a JSON path is some property's name in other letters.
pub(super) fn is_misspelt(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    owners().any(|owner| owner.property != name && folds_to(name, owner.property))
}

/// `shape` is where the value stands as the table of properties has it, `path` where it stands in the document.
fn correct(
    tree: &mut Tree,
    shape: &str,
    path: String,
    changed: &mut Vec<Warning>,
) -> Result<(), SpecError> {
    match tree {
        Tree::Leaf(_) => Ok(()),
        Tree::List(items) => items.iter_mut().enumerate().try_for_each(|(index, item)| {
            correct(item, &format!("{shape}[]"), format!("{path}[{index}]"), changed)
        }),
        Tree::Object(members) => correct_names(members, shape, &path, changed),
    }
}

fn correct_names(
    members: &mut [(String, Tree)],
    shape: &str,
    path: &str,
    changed: &mut Vec<Warning>,
) -> Result<(), SpecError> {
    let place = listed_as(shape);
    let known: Vec<&str> =
        owners().filter(|owner| owner.within == place).map(|owner| owner.property).collect();
    for index in 0..members.len() {
        let right = known.iter().copied().find(|known| folds_to(&members[index].0, known));
        if let Some(right) = right.filter(|right| *right != members[index].0) {
            changed.push(misspelt(members, index, right, path)?);
            right.clone_into(&mut members[index].0);
        }
        let (name, value) = &mut members[index];
        // Of a map, each value is one and the same structure.
        let shape = if known.is_empty() { format!("{shape}{{}}") } else { join(shape, name) };
        correct(value, &shape, join(path, name), changed)?;
    }
    Ok(())
}

fn misspelt(
    members: &[(String, Tree)],
    index: usize,
    right: &str,
    path: &str,
) -> Result<Warning, SpecError> {
    let (path, name) = (join(path, right), &members[index].0);
    let mut others = members.iter().enumerate().filter(|(other, _)| *other != index);
    match others.find(|(_, (other, _))| folds_to(other, right)) {
        Some((_, (other, _))) => {
            Err(SpecError::new(path, format!("is there twice, as {name:?} and as {other:?}")))
        }
        None => {
            let message = format!("is written {name:?}, and taken for {right:?} as Go takes it");
            Ok(Warning { path, message })
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The table names a structure that stands in several places once.
fn listed_as(shape: &str) -> &str {
    let Some(list) = shape.strip_suffix("[]") else { return shape };
    if list.starts_with("hooks.") {
        "hooks[]"
    } else if list.starts_with("linux.resources.blockIO.throttle") {
        "linux.resources.blockIO.throttle*[]"
    } else if list.ends_with(".uidMappings") || list.ends_with(".gidMappings") {
        "linux.uidMappings[], linux.gidMappings[]"
    } else {
        shape
    }
}

/// Whether Go takes `name` for `property`: letters that differ in nothing but case are one (`foldName` of encoding/json). Beside
/// the letters of ASCII those are the long s and the sign for kelvin.
fn folds_to(name: &str, property: &str) -> bool {
    let folded = name.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    });
    folded.eq(property.chars().map(|letter| letter.to_ascii_lowercase()))
}

/// JSON with its members in their order, and with those that are there twice: what is wrong with the document stays wrong.
enum Tree {
    Leaf(Value),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(value) => value.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
