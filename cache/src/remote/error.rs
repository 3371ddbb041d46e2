//! [`RemoteError`]: what went wrong with a remote, in words of our own.
//!
//! What a server answers may repeat what it was sent, credentials among it, so nothing of it is passed on but the status
//! and a code in plain letters.

use super::RemoteUrl;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error;
use std::fmt;

/// What can go wrong with a remote.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemoteError {
    /// The URL is none; it is not repeated, as it may hold what is secret.
    #[error("a remote is s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder{reason}")]
    Url {
        /// What is wrong with this one, to follow the sentence.
        reason: &'static str,
    },
    /// It can't be reached, or refuses to answer.
    #[error("the remote {url} can't be used: {trouble}")]
    Unreachable {
        /// Where it is.
        url: RemoteUrl,
        /// Why.
        trouble: Trouble,
    },
    /// The user did not want to wait.
    #[error("the transfer with {url} was stopped")]
    Stopped {
        /// Where it is.
        url: RemoteUrl,
    },
    /// What it has is not what it should be. Nothing of it is taken.
    #[error("the remote {url} has damaged data, which is not used: {object} {damage}")]
    Damaged {
        /// Where it is.
        url: RemoteUrl,
        /// Which object.
        object: String,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// Why a remote can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server says no.
    Refused {
        /// Of HTTP.
        status: Option<u16>,
        /// The server's word for it.
        code: Option<String>,
        /// What the environment may lack.
        hint: Option<&'static str>,
    },
    /// There is no such bucket, container or folder.
    NoBucket,
    /// No connection.
    Connect {
        /// What the system says.
        reason: Option<String>,
        /// What the environment may lack.
        hint: Option<&'static str>,
    },
    /// It took too long.
    Timeout,
    /// The connection broke.
    Broken,
    /// A file can't be read or written.
    File(String),
    /// The environment does not say what is needed.
    Settings(String),
}

/// What is wrong with an object of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// It is not there, but another object names it.
    Absent,
    /// It is larger than it may be.
    TooLarge {
        /// The most that it may be.
        limit_bytes: u64,
    },
    /// It is not as large as the tree says.
    Size {
        /// What the tree says.
        expected_bytes: u64,
        /// What came.
        found_bytes: u64,
    },
    /// Its content has another digest than its name or its first line.
    Digest,
    /// It is not written as it should be.
    Format,
    /// Its fields are those of another key.
    Fields,
    /// It has control characters, which could mislead on a terminal.
    Text,
    /// It names a file where none may be.
    Path(String),
    /// The ports that it names are not those of its tree.
    Ports,
}

impl Trouble {
    /// Sums up an error of the client.
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
            io = error.downcast_ref::<std::io::Error>().map(words).or(io);
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

/// Says what a system error is, and nothing that someone wrapped around it.
fn words(error: &std::io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().to_string(), |code| std::io::Error::from_raw_os_error(code).to_string())
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self {
            Self::Refused { status, code, hint } => {
                out.write_str("it refuses")?;
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
                    "no connection{}",
                    reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
                )?;
                hint
            }
            Self::NoBucket => return out.write_str("there is no such bucket, container or folder"),
            Self::Timeout => return out.write_str("it takes too long to answer"),
            Self::Broken => return out.write_str("the connection broke"),
            Self::File(reason) | Self::Settings(reason) => return out.write_str(reason),
        };
        hint.map_or(Ok(()), |hint| write!(out, "; {hint} is not set"))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => out.write_str("is absent"),
            Self::TooLarge { limit_bytes } => write!(out, "is larger than {limit_bytes} bytes"),
            Self::Size { expected_bytes, found_bytes } => {
                write!(out, "has {found_bytes} bytes instead of {expected_bytes}")
            }
            Self::Digest => out.write_str("has another digest than it should"),
            Self::Format => out.write_str("is not written as it should be"),
            Self::Fields => out.write_str("has the fields of another key"),
            Self::Text => out.write_str("has control characters"),
            Self::Path(path) => write!(out, "names the file {path:?}"),
            Self::Ports => out.write_str("names ports that are not those of its tree"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_server_says_is_repeated_but_status_and_code() {
        let check = |answer: &str, expect: &str| {
            let source = format!("Server returned non-2xx status code: 403 Forbidden: {answer}").into();
            let error = object_store::Error::PermissionDenied { path: "x".into(), source };
            assert_eq!(Trouble::of(&error, None).to_string(), expect);
        };
        check("<Code>AccessDenied</Code> secret", "it refuses (403 AccessDenied)");
        check("<Code>se/cr+et</Code>", "it refuses (403)");
        check(&format!("<Code>{}</Code>", "x".repeat(41)), "it refuses (403)");
        check("<Code>NoSuchBucket</Code>", "there is no such bucket, container or folder");
    }

    #[test]
    fn a_hint_says_what_is_not_set() {
        let trouble = Trouble::Connect { reason: None, hint: Some("AWS_ACCESS_KEY_ID") };
        assert_eq!(trouble.to_string(), "no connection; AWS_ACCESS_KEY_ID is not set");
    }
}
