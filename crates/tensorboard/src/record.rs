//! TFRecords: `length: u64, crc of the length: u32, data, crc of the data: u32`, all little-endian.

use crc_fast::{CrcAlgorithm, checksum};
use std::io::{self, Write};

/// Writes a record.
pub(crate) fn write(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked_crc(&length).to_le_bytes())?;
    out.write_all(data)?;
    out.write_all(&masked_crc(data).to_le_bytes())
}

/// Returns the CRC-32C, rotated and shifted by a constant, so that the CRC of data that contains CRCs is still useful.
fn masked_crc(data: &[u8]) -> u32 {
    const MASK: u32 = 0xa282_ead8;
    let crc = checksum(CrcAlgorithm::Crc32Iscsi, data) as u32;
    crc.rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-32C for `123456789` is 0xe3069283; rotated right by 15 bits, that is 0x2507c60d.
        assert_eq!(masked_crc(b"123456789"), 0x2507_c60d_u32.wrapping_add(0xa282_ead8));
    }

    #[test]
    fn a_record_has_its_length_first() {
        let mut bytes = Vec::new();
        write(&mut bytes, b"abc").expect("memory");
        assert_eq!((bytes.len(), &bytes[..8], &bytes[12..15]), (19, &[3, 0, 0, 0, 0, 0, 0, 0][..], &b"abc"[..]));
    }
}
