//! [`FileUrl`]: a path as FFmpeg opens it. FFmpeg takes UTF-8, and a video may be in a folder whose name is not.

use crate::VideoError;
use fs_err::File;
use std::os::fd::AsRawFd;
use std::path::Path;

/// A path as FFmpeg opens it.
pub(crate) struct FileUrl {
    text: String,
    /// The folder that the text refers to by number.
    _folder: Option<File>,
}

impl FileUrl {
    /// Returns the URL of a file. The name of the file is UTF-8, because FFmpeg recognises some formats by it.
    pub(crate) fn of(path: &Path) -> Result<Self, VideoError> {
        // Without the explicit protocol, FFmpeg would treat a file named `concat:x` as a list of files.
        if let Some(text) = path.to_str() {
            return Ok(Self { text: format!("file:{text}"), _folder: None });
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(VideoError::Path)?;
        let folder = File::open(path.parent().ok_or(VideoError::Path)?)?;
        let text = format!("file:/proc/self/fd/{}/{name}", folder.as_raw_fd());
        Ok(Self { text, _folder: Some(folder) })
    }

    /// Returns the URL. It is valid until `self` is dropped, and must be opened in this process.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}
