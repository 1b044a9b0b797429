//! Deserialisation helpers for what Go emits: `null` in place of an empty list, map, string or pointer.
//!
//! Engines write config.json with Go's encoder, so a nil slice arrives as `null` and an unset string
//! as `""`. Both mean "not given" everywhere in the specification except where a type says otherwise
//! (`SeccompProfile::flags`, `Hook::env`), and those fields are plain `Option`s.

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use std::collections::btree_map::Entry;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

/// Reads a value, taking `null` for the type's default.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A structure that is written as a JSON object. Derived readers also take an array and assign its elements
/// by position; in a configuration that is a wrong type, not another spelling.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads an object, taking `null` for the type's default.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    maybe_object(deserializer).map(Option::unwrap_or_default)
}

/// Reads an object or `null`.
pub(crate) fn maybe_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// Reads a list of objects, taking `null` for an empty one.
pub(crate) fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Option::<Vec<Object<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(list.into_iter().map(|object| object.0).collect())
}

/// A map that has each key once. Of two alike a reader takes the first or the last, and who looked at the other one was told
/// something else.
struct Unique<K, T>(BTreeMap<K, T>);

impl<'de, K, T> Deserialize<'de> for Unique<K, T>
where
    K: Deserialize<'de> + Ord + Debug,
    T: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData)).map(Self)
    }
}

struct UniqueVisitor<K, T>(PhantomData<(K, T)>);

impl<'de, K, T> Visitor<'de> for UniqueVisitor<K, T>
where
    K: Deserialize<'de> + Ord + Debug,
    T: Deserialize<'de>,
{
    type Value = BTreeMap<K, T>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key()? {
            match map.entry(key) {
                Entry::Occupied(known) => {
                    return Err(A::Error::custom(format!("duplicate key {:?}", known.key())));
                }
                Entry::Vacant(free) => _ = free.insert(access.next_value()?),
            }
        }
        Ok(map)
    }
}

/// Reads a map, taking `null` for an empty one.
pub(crate) fn map<'de, D, K, T>(deserializer: D) -> Result<BTreeMap<K, T>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + Debug,
    T: Deserialize<'de>,
{
    Ok(Option::<Unique<K, T>>::deserialize(deserializer)?.map(|map| map.0).unwrap_or_default())
}

/// Reads a map to objects, taking `null` for an empty one.
pub(crate) fn object_map<'de, D, K, T>(deserializer: D) -> Result<BTreeMap<K, T>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + Debug,
    T: Deserialize<'de>,
{
    let map: BTreeMap<K, Object<T>> = map(deserializer)?;
    Ok(map.into_iter().map(|(key, object)| (key, object.0)).collect())
}

/// Reads a string, taking both `null` and `""` for "not given".
pub(crate) fn non_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// Reads an enumeration written as a string, taking both `null` and `""` for "not given".
pub(crate) fn non_empty_enum<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(NonEmptyEnum(PhantomData))
}

struct NonEmptyEnum<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NonEmptyEnum<T> {
    type Value = Option<T>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a string")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        if text.is_empty() {
            return Ok(None);
        }
        let value: StrDeserializer<'_, E> = text.into_deserializer();
        T::deserialize(value).map(Some)
    }
}

/// True when a field holds what its absence means, so that it need not be written out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
