//! [`Digest`] of content and [`ActionKey`] of an action: two distinct types over 32 bytes of BLAKE3.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// The BLAKE3 digest of content: of a file, or of a [`crate::Tree`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// The BLAKE3 hash of everything that determines the output of an action; see [`crate::Fields::key`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionKey([u8; 32]);

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

macro_rules! hex_newtype {
    ($name:ident) => {
        impl $name {
            /// Returns all 64 hexadecimal digits.
            pub fn hex(&self) -> String {
                self.digits().to_owned()
            }

            /// Returns the first 12 hexadecimal digits, for messages.
            pub fn short(&self) -> String {
                let mut text = self.hex();
                text.truncate(12);
                text
            }

            fn digits(&self) -> impl Deref<Target = str> + use<> {
                blake3::Hash::from_bytes(self.0).to_hex()
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(*hash.as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.digits())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = blake3::HexError;

            fn from_str(hex: &str) -> Result<Self, Self::Err> {
                Ok(Self(*blake3::Hash::from_hex(hex)?.as_bytes()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.digits())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

hex_newtype!(Digest);
hex_newtype!(ActionKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse::<Digest>().expect("hex"), digest);
        // The published BLAKE3 test vector of the empty input.
        assert!(Digest::of(b"").to_string().starts_with("af1349b9f5f9a1a6a0404dea36dcc949"));
    }
}
