//! The text of list files: [`decode`] reads UTF-8 and UTF-16 with any line ends, and [`likely_encoding`] names others.

/// Share of zero bytes from which bytes without a byte order mark are UTF-16: one of two bytes of each Latin letter is zero.
const MIN_ZERO_SHARE: f64 = 0.3;

/// A file is in an encoding that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OtherEncoding {
    pub(crate) name: &'static str,
}

/// Returns the text as UTF-8 without a byte order mark, with lines that end with `\n`. Bytes that are not valid UTF-8 stay as they
/// are: the lines that contain them are reported.
///
/// # Errors
/// If the text is in UTF-32, or in UTF-16 with a broken character.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, OtherEncoding> {
    let text = match &bytes[..] {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Err(OtherEncoding { name: "UTF-32" }),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => rest.to_vec(),
        _ => match zero_bytes(&bytes) {
            (even, odd) if odd >= MIN_ZERO_SHARE && even < odd / 4.0 => utf16(&bytes, u16::from_le_bytes)?,
            (even, odd) if even >= MIN_ZERO_SHARE && odd < even / 4.0 => utf16(&bytes, u16::from_be_bytes)?,
            _ => bytes,
        },
    };
    Ok(with_line_feeds(text))
}

/// Returns the likely encoding of a line that is not valid UTF-8: letters with accents are single bytes in the Windows code pages,
/// and characters of East Asia are pairs of bytes.
pub(crate) fn likely_encoding(line: &[u8]) -> &'static str {
    let runs = line.split(u8::is_ascii).filter(|run| !run.is_empty());
    let (single, longer): (Vec<_>, Vec<_>) = runs.partition(|run| run.len() == 1);
    if single.len() >= longer.len() {
        "Windows-1252 or another code page with one byte per letter"
    } else {
        "GBK, Big5, Shift JIS or another encoding with two bytes per character"
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Vec<u8>, OtherEncoding> {
    let broken = OtherEncoding { name: "UTF-16 with broken characters" };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    let text = text.map_err(|_| broken)?;
    if rest.is_empty() { Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).into()) } else { Err(broken) }
}

/// Returns the share of zero bytes at even and at odd positions.
fn zero_bytes(bytes: &[u8]) -> (f64, f64) {
    let share = |first: usize| {
        let at = || bytes.iter().skip(first).step_by(2);
        at().filter(|byte| **byte == 0).count() as f64 / at().count().max(1) as f64
    };
    (share(0), share(1))
}

/// Replaces `\r\n` and single `\r`, the line end of old Macs, with `\n`.
fn with_line_feeds(text: Vec<u8>) -> Vec<u8> {
    if !text.contains(&b'\r') {
        return text;
    }
    let mut lines = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        match (byte, text.get(at + 1)) {
            (b'\r', Some(b'\n')) => {}
            (b'\r', _) => lines.push(b'\n'),
            _ => lines.push(*byte),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An encoding of a text, as editors and spreadsheets write it.
    #[derive(Debug, Clone, Copy)]
    enum Encoding {
        Utf8 { mark: bool },
        Utf16 { little: bool, mark: bool },
    }

    fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
        let marked = |mark: bool| if mark { format!("\u{feff}{text}") } else { text.to_owned() };
        match encoding {
            Encoding::Utf8 { mark } => marked(mark).into_bytes(),
            Encoding::Utf16 { little, mark } => marked(mark)
                .encode_utf16()
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn any_encoding_and_line_end_gives_the_same_text(
            lines in prop::collection::vec("[a-z]{3,8}/[a-zé動🎬 ]{1,4}[a-z]{4}\\.mp4 [0-9]", 1..8),
            line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
            encoding in prop_oneof![
                any::<bool>().prop_map(|mark| Encoding::Utf8 { mark }),
                (any::<bool>(), any::<bool>()).prop_map(|(little, mark)| Encoding::Utf16 { little, mark }),
            ],
        ) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), line_end]).collect();
            let decoded = decode(encode(&text, encoding)).expect("read");
            prop_assert_eq!(String::from_utf8(decoded).expect("UTF-8"), text.replace("\r\n", "\n").replace('\r', "\n"));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(decode(bytes));
        }
    }

    #[test]
    fn other_encodings_are_named() {
        let utf32: Vec<u8> = "\u{feff}a.mp4 0".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(decode(utf32), Err(OtherEncoding { name: "UTF-32" }));
        assert_eq!(decode(vec![0xff, 0xfe, b'a']), Err(OtherEncoding { name: "UTF-16 with broken characters" }));
        assert_eq!(decode(vec![0xff, 0xfe, 0, 0xd8]), Err(OtherEncoding { name: "UTF-16 with broken characters" }));
        assert!(likely_encoding(b"caf\xe9/1.mp4 0").starts_with("Windows-1252"));
        assert!(likely_encoding(b"\xcc\xf8\xd4\xbe/1.mp4 0").starts_with("GBK"));
    }
}
