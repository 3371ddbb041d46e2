//! [`TargetClass`]: the class that evidence is searched for.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The class that evidence is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetClass {
    /// The predicted one: `predicted`.
    Predicted,
    /// The label: `true`.
    Label,
    /// An index, from 0.
    Index(u32),
    /// A name.
    Name(String),
}

impl Serialize for TargetClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Predicted => serializer.serialize_str("predicted"),
            Self::Label => serializer.serialize_str("true"),
            Self::Index(index) => serializer.serialize_u32(*index),
            Self::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for TargetClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetClassVisitor)
    }
}

struct TargetClassVisitor;

impl Visitor<'_> for TargetClassVisitor {
    type Value = TargetClass;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`predicted`, `true`, the index of a class or its name")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<TargetClass, E> {
        // YAML reads `true` as a truth value.
        if value { Ok(TargetClass::Label) } else { Err(E::invalid_value(Unexpected::Bool(value), &self)) }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<TargetClass, E> {
        let index = u32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))?;
        Ok(TargetClass::Index(index))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<TargetClass, E> {
        Ok(match value {
            "predicted" => TargetClass::Predicted,
            "true" => TargetClass::Label,
            name => TargetClass::Name(name.to_owned()),
        })
    }
}

impl JsonSchema for TargetClass {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TargetClass".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                { "const": true },
            ],
        })
    }
}
