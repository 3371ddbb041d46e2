//! [`NotAVideo`]: names files that are often found in place of a video.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

/// A known kind of file that is not a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAVideo {
    /// A file without content.
    Empty,
    /// A Git LFS pointer: a few lines of text that stand for the file.
    LfsPointer,
    /// A web page, as servers return for a video that is gone.
    WebPage,
    /// A still image, of this format.
    Image(&'static str),
    /// An archive, of this format.
    Archive(&'static str),
    /// The file that macOS puts beside another one on foreign disks.
    AppleDouble,
}

/// Number of bytes that are examined.
const HEAD_BYTES: u64 = 512;

impl NotAVideo {
    /// Returns the kind of the file at `path`; `None` if it may be a video.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        fs_err::File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
        Ok(Self::of_head(&head))
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        let text = head.trim_ascii_start().to_ascii_lowercase();
        let is_png = head.starts_with(b"\x89PNG\r\n\x1a\n");
        // The chunk that makes an animation lies before the data.
        let is_animated = head.windows(4).any(|window| window == b"acTL");
        Some(match head {
            [] => Self::Empty,
            _ if head.starts_with(b"version https://git-lfs.github.com/spec/") => Self::LfsPointer,
            _ if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") => Self::WebPage,
            [0xff, 0xd8, 0xff, ..] => Self::Image("JPEG"),
            _ if is_png && is_animated => Self::Image("animated PNG"),
            _ if is_png => Self::Image("PNG"),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::Image("WebP"),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Self::Image("TIFF"),
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Self::Image("BMP"),
            [b'P', b'K', 3, 4, ..] => Self::Archive("ZIP"),
            [0x1f, 0x8b, 8, ..] => Self::Archive("gzip"),
            [0, 5, 22, 7, ..] => Self::AppleDouble,
            _ => return None,
        })
    }
}

impl fmt::Display for NotAVideo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the file is empty"),
            Self::LfsPointer => {
                write!(f, "the file is a Git LFS pointer, not the video itself; `git lfs pull` downloads the video")
            }
            Self::WebPage => write!(f, "the file is a web page (HTML), not a video"),
            Self::Image(format) => write!(f, "the file is an image ({format}), not a video"),
            Self::Archive(format) => write!(f, "the file is an archive ({format}), not a video"),
            Self::AppleDouble => write!(f, "the file is an AppleDouble file of macOS (`._*`), not a video"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_videos_are_named() {
        let check = |head: &[u8], expect: &str| {
            let found = NotAVideo::of_head(head).map(|kind| kind.to_string());
            assert!(found.as_deref().unwrap_or("a video").contains(expect), "{found:?}, not {expect}");
        };
        check(b"", "empty");
        check(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "Git LFS");
        check(b"\n <!DOCTYPE HTML>\n<title>404</title>", "web page");
        check(b"\xff\xd8\xff\xe0\0\x10JFIF", "(JPEG)");
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "(PNG)");
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR....acTL", "(animated PNG)");
        check(b"RIFF\x10\0\0\0WEBPVP8X", "(WebP)");
        check(b"PK\x03\x04", "(ZIP)");
        check(b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "AppleDouble");
        check(b"RIFF\x10\0\0\0AVI LIST", "a video");
        check(b"\0\0\0\x18ftypmp42", "a video");
        check(b"plain text", "a video");
    }
}
