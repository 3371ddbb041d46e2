//! [`Digest`] of content and [`ActionKey`] of an action: two distinct types over 32 bytes of BLAKE3.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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

/// What [`VALUES`] has for a byte that is not a digit.
const NO_DIGIT: u8 = 0xFF;

/// The value of each byte as a hexadecimal digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Returns the bytes of 64 hexadecimal digits. It has no branch per digit: a run without changes reads thousands of digests, and the
/// digits of a digest can't be predicted.
fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = hex.as_bytes().try_into().ok()?;
    let mut wrong = 0;
    let bytes = std::array::from_fn(|at| {
        let [high, low] = [0, 1].map(|digit| VALUES[usize::from(digits[2 * at + digit])]);
        wrong |= high | low;
        high << 4 | low & 0xF
    });
    (wrong != NO_DIGIT).then_some(bytes)
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
                match bytes_of(hex) {
                    Some(bytes) => Ok(Self(bytes)),
                    // It says what is wrong.
                    None => Ok(Self(*blake3::Hash::from_hex(hex)?.as_bytes())),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.digits())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Digits;

                impl Visitor<'_> for Digits {
                    type Value = $name;

                    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                        out.write_str("64 hexadecimal digits")
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Digits)
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

    #[test]
    fn all_digits_are_read_and_nothing_else() {
        for byte in 0..=u8::MAX {
            let mut bytes = [0x5A; 32];
            bytes[byte as usize % 32] = byte;
            let digest = Digest::from_bytes(bytes);
            let (lower, upper) = (digest.to_string(), digest.to_string().to_uppercase());
            assert_eq!([lower.parse().ok(), upper.parse().ok()], [Some(digest), Some(digest)]);
            let json = format!("\"{lower}\"");
            assert_eq!(serde_json::from_str::<Digest>(&json).ok(), Some(digest));
            let other = [byte];
            let Ok(other) = std::str::from_utf8(&other) else { continue };
            if byte.is_ascii_hexdigit() {
                continue;
            }
            for at in [0, 31, 63] {
                let mut wrong = lower.clone();
                wrong.replace_range(at..=at, other);
                assert!(wrong.parse::<Digest>().is_err(), "{byte} at {at}");
            }
        }
        let digits = Digest::of(b"").to_string();
        for wrong in [&digits[1..], &format!("{digits}0"), "", "é"] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
