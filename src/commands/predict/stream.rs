//! [`Stream`]: the argument of `pipe predict` that names a stream.

use crate::error::CommandError;
use fs_err as fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// A stream to predict.
pub(super) struct Stream {
    /// Its name in the output: a URL without its password.
    pub(super) name: String,
    /// What the worker opens.
    pub(super) url: String,
    /// A descriptor that the worker inherits.
    _descriptor: Option<OwnedFd>,
}

impl Stream {
    /// Returns whether one of the arguments names a stream.
    pub(super) fn is_named(arguments: &[PathBuf]) -> bool {
        arguments.iter().any(|argument| is_stream(argument))
    }

    /// Opens the stream that the arguments name; `None` if they name files.
    pub(super) fn of(arguments: &[PathBuf]) -> Result<Option<Self>, CommandError> {
        let streams: Vec<&PathBuf> = arguments.iter().filter(|argument| is_stream(argument)).collect();
        match streams[..] {
            [] => Ok(None),
            [stream] if arguments.len() == 1 => Self::open(stream).map(Some),
            [stream, ..] => Err(CommandError::bad_input(format!(
                "{} is a stream; predict one stream at a time, without other videos",
                named(&stream.to_string_lossy())
            ))),
        }
    }

    fn open(argument: &Path) -> Result<Self, CommandError> {
        let text = argument.to_string_lossy();
        if text.contains("://") {
            return Ok(Self { name: named(&text), url: text.into_owned(), _descriptor: None });
        }
        let descriptor = if text == "-" {
            nix::unistd::dup(std::io::stdin())
        } else if is_camera(argument) {
            return Err(CommandError::bad_input(format!(
                "{text} is a camera, which is read through a program: ffmpeg -f v4l2 -i {text} -f nut - | pipe predict MODEL - …"
            )));
        } else {
            // A named pipe opens when its other end does.
            nix::unistd::dup(fs::File::open(argument)?)
        };
        // Not closed when the worker starts, unlike the descriptors that Rust opens.
        let descriptor = descriptor.map_err(std::io::Error::from)?;
        Ok(Self {
            name: text.into_owned(),
            url: format!("pipe:{}", descriptor.as_raw_fd()),
            _descriptor: Some(descriptor),
        })
    }
}

fn is_stream(argument: &Path) -> bool {
    let is_device = |path: &Path| {
        path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo() || metadata.file_type().is_char_device())
    };
    let text = argument.to_string_lossy();
    text == "-" || text.contains("://") || is_device(argument)
}

/// Returns whether a device is a camera, as the kernel names them: `/dev/video0`.
fn is_camera(device: &Path) -> bool {
    let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
    device.starts_with("/dev") && name.starts_with("video")
}

/// Returns a URL without its password.
fn named(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    match authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':')) {
        Some((user, password)) => {
            let after = &rest[user.len() + 1 + password.len()..];
            format!("{scheme}://{user}:***{after}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(named("rtsp://me:se:c@ret@10.0.0.1:554/live?x=a@b"), "rtsp://me:***@10.0.0.1:554/live?x=a@b");
        for plain in ["rtsp://10.0.0.1:554/a@b:c", "http://me@host/", "-", "https://host"] {
            assert_eq!(named(plain), plain);
        }
    }

    #[test]
    fn one_stream_stands_alone() {
        let of = |arguments: &[&str]| {
            let arguments: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
            Stream::of(&arguments).map(|stream| stream.map(|stream| stream.name)).map_err(|error| format!("{error:?}"))
        };
        assert_eq!(of(&["a.mp4", "b"]), Ok(None));
        assert_eq!(of(&["http://u:p@h/x"]), Ok(Some("http://u:***@h/x".into())));
        assert!(of(&["a.mp4", "rtsp://h"]).is_err_and(|error| error.contains("one stream at a time")));
    }
}
