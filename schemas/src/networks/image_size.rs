//! [`ImageSize`]: the size of the frames that a table of positions is made for.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The largest side of a frame, in pixels.
const MAX_SIDE: u32 = 4096;

/// The height and width of frames in pixels: one number for squares, or `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// In pixels; 1 to 4096.
    pub height: u32,
    /// In pixels; 1 to 4096.
    pub width: u32,
}

impl ImageSize {
    /// Returns the size of square frames.
    pub const fn square(side: u32) -> Self {
        Self { height: side, width: side }
    }
}

impl Default for ImageSize {
    fn default() -> Self {
        Self::square(224)
    }
}

impl Serialize for ImageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.height == self.width {
            serializer.serialize_u32(self.height)
        } else {
            [self.height, self.width].serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for ImageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = deserializer.deserialize_any(SizeVisitor)?;
        if [size.height, size.width].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
            return Ok(size);
        }
        Err(D::Error::custom(format!(
            "a frame has 1 to {MAX_SIDE} rows and columns, found {} x {}",
            size.height, size.width
        )))
    }
}

struct SizeVisitor;

impl<'de> Visitor<'de> for SizeVisitor {
    type Value = ImageSize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the side of a square in pixels, or `[height, width]`")
    }

    fn visit_u64<E: Error>(self, side: u64) -> Result<ImageSize, E> {
        Ok(ImageSize::square(u32::try_from(side).unwrap_or(u32::MAX)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sides: A) -> Result<ImageSize, A::Error> {
        let mut side = |found| sides.next_element()?.ok_or_else(|| A::Error::invalid_length(found, &self));
        let size = ImageSize { height: side(0)?, width: side(1)? };
        match sides.next_element::<u32>()? {
            None => Ok(size),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}

impl JsonSchema for ImageSize {
    fn schema_name() -> Cow<'static, str> {
        "ImageSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The height and width of frames in pixels: one number for squares, or `[height, width]`.",
            "type": ["integer", "array"],
            "minimum": 1,
            "maximum": MAX_SIDE,
            "items": { "type": "integer", "minimum": 1, "maximum": MAX_SIDE },
            "minItems": 2,
            "maxItems": 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, to_string};

    #[test]
    fn a_square_is_one_number() {
        for (text, height, width) in [("224", 224, 224), ("[64,96]", 64, 96)] {
            let size: ImageSize = from_str(text).expect("a size");
            assert_eq!((size, to_string(&size).expect("text").as_str()), (ImageSize { height, width }, text));
        }
    }

    #[test]
    fn other_values_are_errors() {
        for (text, expect) in [
            ("0", "a frame has 1 to 4096 rows and columns, found 0 x 0"),
            ("[64, 5000]", "a frame has 1 to 4096 rows and columns, found 64 x 5000"),
            ("[64]", "invalid length 1, expected the side of a square in pixels, or `[height, width]`"),
            ("[1, 2, 3]", "invalid length 3"),
            ("\"224\"", "invalid type: string \"224\", expected the side of a square"),
            ("99999999999", "found 4294967295 x 4294967295"),
        ] {
            let error = from_str::<ImageSize>(text).expect_err(text).to_string();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
