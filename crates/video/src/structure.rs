//! [`ending`]: whether the bytes of a file end where its container says that they end.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At or after the end that the container declares.
    Whole,
    /// Before it.
    Cut {
        /// Length of the file that the container declares.
        declared_bytes: u64,
        /// Length of the file.
        found_bytes: u64,
    },
    /// The mark that ends a stream is missing.
    NotMarked,
    /// The container declares no end.
    Unknown,
}

/// Bytes at the start in which the header of a container lies.
const HEAD_BYTES: u64 = 64 << 10;

/// Maximum size of a page of Ogg.
const OGG_PAGE_BYTES: u64 = 66 << 10;

/// Examines the file at `path` as the container `format`, by FFmpeg's name.
pub(crate) fn ending(path: &Path, format: &str) -> io::Result<Ending> {
    let mut file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    if format == "ogg" {
        file.seek(SeekFrom::Start(length.saturating_sub(OGG_PAGE_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        return Ok(if ogg_ends(&tail) { Ending::Whole } else { Ending::NotMarked });
    }
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    let declared = match format {
        "matroska,webm" => matroska_length(&head),
        "avi" => avi_length(&head),
        "flv" => flv_length(&head),
        "asf" => asf_length(&head),
        _ => None,
    };
    Ok(match declared {
        Some(declared_bytes) if length < declared_bytes => Ending::Cut { declared_bytes, found_bytes: length },
        Some(_) => Ending::Whole,
        None => Ending::Unknown,
    })
}

/// Returns the length of a Matroska file: the end of its segment. A stream that is written live has a segment without a length.
fn matroska_length(head: &[u8]) -> Option<u64> {
    const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
    // The header before the segment is an element of its own: an id of four bytes, and its length.
    let header = head.strip_prefix(&[0x1a, 0x45, 0xdf, 0xa3])?;
    let (header_length, size_bytes) = ebml_number(header)?;
    let segment = 4 + size_bytes + usize::try_from(header_length?).ok()?;
    let size = head.get(segment..)?.strip_prefix(&SEGMENT)?;
    let (length, size_bytes) = ebml_number(size)?;
    Some((segment + 4 + size_bytes) as u64 + length?)
}

/// Returns the length that an element declares, `None` if it is unknown, and the number of bytes of the field.
fn ebml_number(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first()?;
    let size_bytes = first.leading_zeros() as usize + 1;
    let field = bytes.get(..size_bytes).filter(|_| size_bytes <= 8)?;
    let marked = field.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    let value = marked & ((1 << (7 * size_bytes)) - 1);
    let is_unknown = value == (1 << (7 * size_bytes)) - 1;
    Some(((!is_unknown).then_some(value), size_bytes))
}

/// Returns the length of the first list of an AVI file; a large file has more of them.
fn avi_length(head: &[u8]) -> Option<u64> {
    let length = u32::from_le_bytes(*head.strip_prefix(b"RIFF")?.first_chunk()?);
    // The names of the list and of its kind, and the length itself.
    (length > 0).then(|| u64::from(length) + 8)
}

/// Returns the property `filesize` of a Flash video, which writers set when they finish.
fn flv_length(head: &[u8]) -> Option<u64> {
    // A name, the type 0 of a number, and the number as a float.
    const NAME: &[u8] = b"\0\x08filesize\0";
    let at = head.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let length = f64::from_be_bytes(*head.get(at..)?.first_chunk()?);
    (1.0..1e15).contains(&length).then_some(length as u64)
}

/// Returns the file size in the object "file properties" of an ASF file. A broadcast declares none.
fn asf_length(head: &[u8]) -> Option<u64> {
    const FILE_PROPERTIES: [u8; 16] =
        [0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65];
    let at = head.windows(16).position(|window| window == FILE_PROPERTIES)?;
    // The id of the object, its size, and the id of the file.
    let length = u64::from_le_bytes(*head.get(at + 40..)?.first_chunk()?);
    let flags = head.get(at + 88)?;
    (length > 0 && flags & 1 == 0).then_some(length)
}

/// Returns whether the last page of an Ogg file is marked as the last of its stream, and complete.
fn ogg_ends(tail: &[u8]) -> bool {
    const END_OF_STREAM: u8 = 4;
    let Some(start) = tail.windows(4).rposition(|window| window == b"OggS") else { return false };
    let page = &tail[start..];
    let (Some(flags), Some(&segments)) = (page.get(5), page.get(26)) else { return false };
    let Some(sizes) = page.get(27..27 + usize::from(segments)) else { return false };
    let length = 27 + sizes.len() + sizes.iter().map(|&size| usize::from(size)).sum::<usize>();
    flags & END_OF_STREAM != 0 && length <= page.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matroska_file_ends_with_its_segment() {
        let file = |size: &[u8]| [&[0x1a, 0x45, 0xdf, 0xa3, 0x83, 1, 2, 3, 0x18, 0x53, 0x80, 0x67], size].concat();
        assert_eq!(matroska_length(&file(&[0x85])), Some(13 + 5));
        assert_eq!(matroska_length(&file(&[0x01, 0, 0, 0, 0, 0, 1, 2])), Some(20 + 258));
        assert_eq!(matroska_length(&file(&[0x01, 255, 255, 255, 255, 255, 255, 255])), None, "live");
        assert_eq!(matroska_length(&file(&[0xff])), None, "live");
        assert_eq!(matroska_length(&file(&[0])), None);
        assert_eq!(matroska_length(&file(&[])), None);
        assert_eq!(matroska_length(b"text"), None);
    }

    #[test]
    fn an_ogg_file_ends_with_a_marked_page() {
        let page = |flags: u8, sizes: &[u8], bytes: usize| {
            let head = [b"OggS\0".as_slice(), &[flags], &[0; 20], &[sizes.len() as u8], sizes].concat();
            [head, vec![7; bytes]].concat()
        };
        assert!(ogg_ends(&[page(0, &[3], 3), page(4, &[2, 1], 3)].concat()));
        assert!(!ogg_ends(&page(4, &[2, 1], 2)));
        assert!(!ogg_ends(&page(0, &[2, 1], 3)));
        assert!(!ogg_ends(&page(4, &[2, 1], 3)[..27]));
        assert!(!ogg_ends(b"Ogg"));
    }

    #[test]
    fn flash_asf_and_avi_files_declare_their_size() {
        let flash = [b"FLV..\0\x08filesize\0".as_slice(), &1000_f64.to_be_bytes()].concat();
        assert_eq!(flv_length(&flash), Some(1000));
        assert_eq!(flv_length(&flash[..20]), None);
        assert_eq!(flv_length(b"FLV\x01 without it"), None);
        assert_eq!(asf_length(&[0; 200]), None);
        assert_eq!(avi_length(b"RIFF\x10\x01\0\0AVI "), Some(280));
        assert_eq!(avi_length(b"RIFF\0\0\0\0AVI "), None);
    }
}
