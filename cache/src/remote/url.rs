//! [`RemoteUrl`]: the URL of a remote. It contains no credentials, so it can be shown.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The kind of a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Amazon S3 and compatible services.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
    /// A folder, such as one on a shared file system.
    File,
}

/// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    scheme: Scheme,
    bucket: String,
    path: String,
}

/// A URL is not valid. The message does not repeat it, because it may contain a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a valid remote: use s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder{reason}"
)]
pub struct UrlError {
    /// The problem, to follow the sentence.
    reason: &'static str,
}

/// The setting of a remote: a URL, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteSetting {
    /// `none`: no remote, even if another setting names one.
    Off,
    /// The remote to use.
    At(RemoteUrl),
}

impl RemoteUrl {
    /// Returns the kind of the remote.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the bucket or container; empty for a folder.
    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the prefix of all object names in the bucket; empty for a folder.
    pub(super) fn prefix(&self) -> &str {
        if self.scheme == Scheme::File { "" } else { &self.path }
    }

    /// Returns the folder, if the remote is one.
    pub fn folder(&self) -> Option<&Path> {
        (self.scheme == Scheme::File).then(|| Path::new(&self.path))
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
            Self::File => "file",
        }
    }
}

impl FromStr for RemoteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (name, rest) = text.split_once("://").ok_or(UrlError { reason: "" })?;
        let schemes = [Scheme::S3, Scheme::Gs, Scheme::Az, Scheme::File];
        let known = schemes.into_iter().find(|scheme| scheme.name() == name);
        let scheme = known.ok_or(UrlError { reason: "" })?;
        if rest.chars().any(char::is_control) {
            return Err(UrlError { reason: "; control characters are not allowed" });
        }
        if scheme == Scheme::File {
            // The rest is a path, without any decoding.
            if !rest.starts_with('/') {
                return Err(UrlError { reason: "; the path of a folder must start with `/`" });
            }
            return Ok(Self { scheme, bucket: String::new(), path: rest.to_owned() });
        }
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if rest.contains(['@', '?', '#']) || bucket.contains(':') {
            return Err(UrlError { reason: "; set credentials and options in the environment" });
        }
        let letter = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        if bucket.is_empty() || !bucket.chars().all(letter) {
            return Err(UrlError { reason: "; the name of the bucket is missing or not valid" });
        }
        let path = path.trim_end_matches('/');
        if !path.is_empty() && path.split('/').any(|step| matches!(step, "" | "." | "..")) {
            return Err(UrlError { reason: "; `.`, `..` and `//` are not allowed in the path" });
        }
        Ok(Self { scheme, bucket: bucket.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.scheme == Scheme::File || self.path.is_empty() { "" } else { "/" };
        write!(out, "{}://{}{slash}{}", self.scheme.name(), self.bucket, self.path)
    }
}

impl FromStr for RemoteSetting {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text == "none" { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_round_trip() {
        for text in ["s3://b", "s3://my-b.x_1/a/b c", "gs://b/a", "az://c/a", "file:///mnt/a b/%20?x", "file:///"] {
            let url: RemoteUrl = text.parse().expect(text);
            assert_eq!(url.to_string(), text);
        }
        let slash: RemoteUrl = "s3://b/a/".parse().expect("a URL");
        assert_eq!(slash.to_string(), "s3://b/a");
        assert_eq!("none".parse::<RemoteSetting>().expect("a setting"), RemoteSetting::Off);
    }

    #[test]
    fn invalid_urls_are_refused_and_not_repeated() {
        for text in [
            "",
            "bucket",
            "http://secret/a",
            "s3:/b",
            "s3://",
            "s3:///a",
            "s3://key:secret@b/a",
            "az://c/a?sig=secret",
            "s3://b/a#secret",
            "s3://b/../a",
            "s3://b//a",
            "s3://b/\u{1b}[31m",
            "file://secret/a",
            "file:a",
        ] {
            let error = text.parse::<RemoteUrl>().expect_err(text).to_string();
            assert!(!error.contains("secret") && error.contains("s3://bucket/prefix"), "{error}");
        }
    }
}
