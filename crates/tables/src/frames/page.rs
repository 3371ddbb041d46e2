//! [`jpeg_of_page`]: finds an image in its page, so that it can be read without a copy.

use std::ops::Range;

/// Returns the position of the value in a page of `image.bytes`. [`ShardWriter`](super::ShardWriter) writes such a page as a
/// header, then the definition level and the bytes of its one value, each with its length before it and not compressed.
pub(super) fn jpeg_of_page(page: &[u8]) -> Option<Range<usize>> {
    /// Type and number of a Thrift field: an i32, the successor of the field before.
    const NEXT_I32: u8 = 0x15;
    let mut rest = page;
    // Type of the page, uncompressed size, stored size.
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

/// Splits off bytes that are preceded by their number.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Removes a variable-length integer from the front of `bytes`.
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
