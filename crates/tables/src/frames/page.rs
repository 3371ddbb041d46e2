//! [`jpeg_of_page`]: where an image lies in its page, so that it can be read without copying it.

use std::ops::Range;

/// Returns where the value lies in a page of `image.bytes` as [`ShardWriter`](super::ShardWriter) writes it: a header, the
/// definition level of the one value, and itself, each with its length before it and not compressed.
pub(super) fn jpeg_of_page(page: &[u8]) -> Option<Range<usize>> {
    /// Type and number of the next field of a Thrift structure: an i32, the one after the last.
    const NEXT_I32: u8 = 0x15;
    let mut rest = page;
    // Type of the page, size as it was, size as it is.
    let mut sizes = [0; 3];
    for size in &mut sizes {
        rest = rest.strip_prefix(&[NEXT_I32])?;
        *size = varint(&mut rest)? >> 1; // zigzag; none is negative
    }
    let [data_page, size, stored_size] = sizes;
    let value = page.len().checked_sub(usize::try_from(stored_size).ok()?)?;
    let (_level, value) = counted(page.get(value..)?)?;
    let (value, rest) = counted(value)?;
    let whole = data_page == 0 && size == stored_size && rest.is_empty();
    whole.then(|| page.len() - value.len()..page.len())
}

/// Splits off bytes whose number stands before them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Takes a variable-length integer from the front of `bytes`.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte;
        (byte, *bytes) = bytes.split_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
