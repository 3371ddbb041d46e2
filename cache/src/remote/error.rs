//! [`RemoteError`]: errors of a remote, in our own words.
//!
//! A server may repeat the request in its response, including credentials. So only its status and an error code that consists of
//! letters are shown.

use super::url::{RemoteUrl, UrlError};
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error;
use std::fmt;

/// What went wrong between this machine and a remote.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum RemoteError {
    /// The URL is not valid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The remote can't be reached, or refuses requests.
    #[error("the remote {url} can't be used: {failure}")]
    Unreachable { url: RemoteUrl, failure: RemoteFailure },
    /// The user stopped the transfer.
    #[error("the transfer with {url} was stopped")]
    Stopped { url: RemoteUrl },
    /// An object of the remote is damaged. The result is not used.
    #[error("the remote {url} has damaged data, which is not used: {object} {error}")]
    Damaged { url: RemoteUrl, object: String, error: ObjectError },
}

/// Why a remote can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteFailure {
    /// The server refuses the request.
    Refused {
        /// The HTTP status.
        status: Option<u16>,
        /// The error code of the server.
        code: Option<String>,
        /// A variable that is not set, which may be the reason.
        hint: Option<&'static str>,
    },
    /// The bucket, container or folder does not exist.
    NoBucket,
    /// The connection failed.
    Connect {
        /// The error of the operating system.
        reason: Option<String>,
        /// A variable that is not set, which may be the reason.
        hint: Option<&'static str>,
    },
    /// The server did not respond in time.
    Timeout,
    /// The connection was lost.
    Broken,
    /// A file can't be read or written.
    File(String),
    /// The configuration in the environment is not valid.
    Settings(String),
}

/// Why an object of a remote can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectError {
    /// It does not exist, but another object needs it.
    Absent,
    /// It is too large.
    TooLarge {
        /// The maximum size.
        limit_bytes: u64,
    },
    /// Its size differs from the size in the tree.
    Size {
        /// The size in the tree.
        expected_bytes: u64,
        /// The size of the object.
        found_bytes: u64,
    },
    /// Its content does not have the digest in its name or first line.
    Digest,
    /// Its format is not valid.
    Format,
    /// Its fields belong to another key.
    Fields,
    /// It contains control characters, which could manipulate a terminal.
    Text,
    /// It contains a path that is not valid inside an output.
    Path(String),
    /// Its ports do not match its tree.
    Ports,
}

impl RemoteFailure {
    /// Summarises an error of the client.
    pub(super) fn of(error: &object_store::Error, hint: Option<&'static str>) -> Self {
        let text = error.to_string();
        let status =
            after(&text, "status code: ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
        let code = after(&text, "<Code>").and_then(|rest| rest.split_once("</Code>")).map(|(code, _)| code);
        let code = code.filter(|code| code.len() <= 40 && code.chars().all(|letter| letter.is_ascii_alphabetic()));
        if matches!(code, Some("NoSuchBucket" | "ContainerNotFound")) {
            return Self::NoBucket;
        }
        let denied = match error {
            object_store::Error::Unauthenticated { .. } => Some(401),
            object_store::Error::PermissionDenied { .. } => Some(403),
            _ => None,
        };
        if status.is_some() || denied.is_some() {
            return Self::Refused { status: status.or(denied), code: code.map(str::to_owned), hint };
        }
        let (mut http, mut io) = (None, None);
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = cause {
            http = http.or(error.downcast_ref::<HttpError>().map(HttpError::kind));
            io = error.downcast_ref::<std::io::Error>().map(system_message).or(io);
            cause = error.source();
        }
        match (http, io) {
            (Some(HttpErrorKind::Connect), reason) => Self::Connect { reason, hint },
            (Some(HttpErrorKind::Timeout), _) => Self::Timeout,
            (None, Some(reason)) => Self::File(reason),
            _ => Self::Broken,
        }
    }
}

/// Returns the message of a system error, without anything that was wrapped around it.
fn system_message(error: &std::io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().to_string(), |code| std::io::Error::from_raw_os_error(code).to_string())
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

impl fmt::Display for RemoteFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self {
            Self::Refused { status, code, hint } => {
                out.write_str("the server refuses the request")?;
                match (status, code) {
                    (Some(status), Some(code)) => write!(out, " ({status} {code})")?,
                    (Some(status), None) => write!(out, " ({status})")?,
                    (None, Some(code)) => write!(out, " ({code})")?,
                    (None, None) => {}
                }
                hint
            }
            Self::Connect { reason, hint } => {
                write!(
                    out,
                    "connection failed{}",
                    reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
                )?;
                hint
            }
            Self::NoBucket => return out.write_str("the bucket, container or folder does not exist"),
            Self::Timeout => return out.write_str("the server does not respond"),
            Self::Broken => return out.write_str("the connection was lost"),
            Self::File(reason) | Self::Settings(reason) => return out.write_str(reason),
        };
        hint.map_or(Ok(()), |hint| write!(out, "; {hint} is not set"))
    }
}

impl fmt::Display for ObjectError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => out.write_str("is missing"),
            Self::TooLarge { limit_bytes } => write!(out, "is larger than {limit_bytes} bytes"),
            Self::Size { expected_bytes, found_bytes } => {
                write!(out, "has {found_bytes} bytes instead of {expected_bytes}")
            }
            Self::Digest => out.write_str("has the wrong digest"),
            Self::Format => out.write_str("has an invalid format"),
            Self::Fields => out.write_str("has the fields of another key"),
            Self::Text => out.write_str("contains control characters"),
            Self::Path(path) => write!(out, "contains the invalid path {path:?}"),
            Self::Ports => out.write_str("has ports that do not match its tree"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_status_and_code_of_a_response_are_shown() {
        let check = |answer: &str, expect: &str| {
            let source = format!("Server returned non-2xx status code: 403 Forbidden: {answer}").into();
            let error = object_store::Error::PermissionDenied { path: "x".into(), source };
            assert_eq!(RemoteFailure::of(&error, None).to_string(), expect);
        };
        check("<Code>AccessDenied</Code> secret", "the server refuses the request (403 AccessDenied)");
        check("<Code>se/cr+et</Code>", "the server refuses the request (403)");
        check(&format!("<Code>{}</Code>", "x".repeat(41)), "the server refuses the request (403)");
        check("<Code>NoSuchBucket</Code>", "the bucket, container or folder does not exist");
    }

    #[test]
    fn a_hint_names_a_variable_that_is_not_set() {
        let failure = RemoteFailure::Connect { reason: None, hint: Some("AWS_ACCESS_KEY_ID") };
        assert_eq!(failure.to_string(), "connection failed; AWS_ACCESS_KEY_ID is not set");
    }
}
