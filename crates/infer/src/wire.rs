//! [`Fields`]: the fields of a protobuf message, read without copying, so that the memory in use does not depend on the file.

/// Iterates over the fields of a message: number and value. After an error there are no more fields.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// The value of a field.
pub(crate) enum Value<'a> {
    /// A number with a variable length.
    Varint(u64),
    /// A text, a message, bytes, or packed numbers.
    Bytes(&'a [u8]),
    /// A number of 4 or 8 bytes.
    Fixed,
}

/// The bytes are not a message, or end within a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let key = varint(&mut self.rest)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut self.rest)?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        if key >> 3 == 0 { Err(Malformed) } else { Ok((key >> 3, value)) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Reads a number from the start of `bytes`.
pub(crate) fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_cut_messages_are_errors() {
        // Field 1: 300; field 2: "ab"; field 3: four bytes.
        let message = [0x08, 0xac, 0x02, 0x12, 0x02, b'a', b'b', 0x1d, 0, 0, 0, 0];
        let numbers: Vec<_> = Fields::of(&message).map(|field| field.expect("a field").0).collect();
        assert_eq!(numbers, [1, 2, 3]);
        let mut fields = Fields::of(&message);
        assert!(matches!(fields.next(), Some(Ok((1, Value::Varint(300))))));
        assert!(matches!(fields.next(), Some(Ok((2, Value::Bytes(b"ab"))))));
        for length in [1, 2, 4, 6, 9] {
            assert!(Fields::of(&message[..length]).any(|field| field.is_err()), "{length}");
        }
        for odd in [&[0x0b_u8][..], &[0x02, 0x00], &[0xff; 11]] {
            assert!(Fields::of(odd).any(|field| field.is_err()), "{odd:?}");
        }
    }
}
