//! Deserialisation helpers for what Go emits: `null` in place of an empty list, map, string or pointer.
//!
//! Engines write config.json with Go's encoder, so a nil slice arrives as `null` and an unset string
//! as `""`. Both mean "not given" everywhere in the specification except where a type says otherwise
//! (`SeccompProfile::flags`, `Hook::env`), and those fields are plain `Option`s.

use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, Visitor};
use std::marker::PhantomData;

/// Reads a value, taking `null` for the type's default.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
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
