//! [`Client`]: asks for a file once, or for the rest of one.

use pipe_schemas::stages::fetch::percent_decoded;
use std::io::Read;
use std::time::Duration;
use ureq::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use ureq::tls::{RootCerts, TlsConfig};

/// How long a connection may take to be made, and an answer to begin.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// How often a server may send us elsewhere.
const MAX_REDIRECTS: u32 = 10;
/// The longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Speaks HTTP, and reads files of this machine.
pub(crate) struct Client {
    agent: ureq::Agent,
    /// The same, which never leaves https.
    secure: ureq::Agent,
}

/// The part of a file that is still wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) url: &'a str,
    /// How much of it is here.
    pub(crate) offset: u64,
    /// What the part that is here was said to be.
    pub(crate) validator: Option<&'a str>,
    /// Whether someone between us and the server could change it unseen.
    pub(crate) trusting: bool,
}

/// A file on its way.
pub(crate) struct Answer {
    /// Where in the file `body` begins: at what was wanted, or at the start.
    pub(crate) offset: u64,
    /// Size of the whole file, where it is told.
    pub(crate) size_bytes: Option<u64>,
    /// By what a server knows whether it still has the same file.
    pub(crate) validator: Option<String>,
    pub(crate) body: Box<dyn Read>,
}

/// Why there is no file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may pass.
    Passing { reason: String, wait: Option<Duration> },
    /// It will be the same next time.
    Lasting(String),
    /// The rest can't be had; the whole may.
    NoRest,
    /// What is here is all there is.
    NothingMore,
}

impl Trouble {
    pub(crate) fn passing(reason: impl ToString) -> Self {
        Self::Passing { reason: reason.to_string(), wait: None }
    }
}

impl Client {
    /// Returns a client that gives up a connection which is silent for `silence`.
    pub(crate) fn new(silence: Duration) -> Self {
        // Whoever was first wins, and has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = |https_only| {
            let config = ureq::Agent::config_builder()
                .https_only(https_only)
                .http_status_as_error(false)
                .max_redirects(MAX_REDIRECTS)
                .timeout_connect(Some(ANSWER_WITHIN))
                .timeout_recv_response(Some(ANSWER_WITHIN))
                .timeout_per_read(Some(silence))
                .user_agent(concat!("pipe/", env!("CARGO_PKG_VERSION")))
                // The digest is that of the file, not of a packed copy of it.
                .accept_encoding("identity")
                .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
            config.build().new_agent()
        };
        Self { agent: agent(false), secure: agent(true) }
    }

    /// Asks for the rest of a file.
    pub(crate) fn get(&self, wanted: &Wanted) -> Result<Answer, Trouble> {
        match wanted.url.strip_prefix("file://") {
            Some(path) => open(&percent_decoded(path)),
            None => self.request(wanted),
        }
    }

    fn request(&self, wanted: &Wanted) -> Result<Answer, Trouble> {
        let secure = wanted.trusting && wanted.url.starts_with("https://");
        let mut request = if secure { &self.secure } else { &self.agent }.get(wanted.url);
        if wanted.offset > 0 {
            request = request.header(RANGE, format!("bytes={}-", wanted.offset));
            if let Some(validator) = wanted.validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let response = request.call().map_err(|error| trouble(&error))?;
        let (parts, body) = response.into_parts();
        let headers = &parts.headers;
        let body_bytes = text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok());
        let (offset, size_bytes) = match (parts.status.as_u16(), content_range(headers)) {
            (200, _) => (0, body_bytes),
            (206, Some((Some(start), size_bytes))) if wanted.offset > 0 && start == wanted.offset => {
                (start, size_bytes.or_else(|| start.checked_add(body_bytes?)))
            }
            (206, _) => return Err(Trouble::NoRest),
            (416, Some((None, Some(size_bytes)))) if size_bytes == wanted.offset => return Err(Trouble::NothingMore),
            (416, _) if wanted.offset > 0 => return Err(Trouble::NoRest),
            (status @ (408 | 425 | 429 | 500 | 502 | 503 | 504), _) => {
                let wait = text(headers, RETRY_AFTER.as_str()).and_then(|secs| secs.parse().ok());
                let wait = wait.map(|secs| Duration::from_secs(secs).min(MAX_WAIT));
                return Err(Trouble::Passing { reason: format!("the server answers {status}"), wait });
            }
            (status, _) => return Err(Trouble::Lasting(format!("the server answers {status}"))),
        };
        let validator = validator(headers);
        Ok(Answer { offset, size_bytes, validator, body: Box::new(body.into_reader()) })
    }
}

/// Opens a file of this machine.
fn open(path: &str) -> Result<Answer, Trouble> {
    let lasting = |error: std::io::Error| Trouble::Lasting(error.to_string());
    // A named pipe would keep us waiting as soon as it is opened.
    let metadata = fs_err::metadata(path).map_err(lasting)?;
    if !metadata.is_file() {
        return Err(Trouble::Lasting("it is no file".into()));
    }
    let body = Box::new(fs_err::File::open(path).map_err(lasting)?);
    Ok(Answer { offset: 0, size_bytes: Some(metadata.len()), validator: None, body })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Reads `bytes 5-9/10` as where it starts and how large the whole is; `bytes */10` has no start.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let (range, size_bytes) = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?.split_once('/')?;
    let start = if range == "*" { None } else { Some(range.split_once('-')?.0.parse().ok()?) };
    Some((start, size_bytes.parse().ok()))
}

/// Returns what `If-Range` takes: an entity tag that stands for bytes, else the date of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    if text(headers, ACCEPT_RANGES.as_str()) == Some("none") {
        return None;
    }
    let tag = text(headers, ETAG.as_str()).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers, LAST_MODIFIED.as_str())).filter(|text| text.len() <= 1024).map(str::to_owned)
}

/// Says what is wrong, without any url.
fn trouble(error: &ureq::Error) -> Trouble {
    match error {
        ureq::Error::Io(error) => Trouble::passing(error),
        ureq::Error::Timeout(_) => Trouble::passing("the server does not answer in time"),
        ureq::Error::HostNotFound => Trouble::passing("there is no such host, or no network"),
        ureq::Error::ConnectionFailed => Trouble::passing("no connection"),
        ureq::Error::Protocol(_) | ureq::Error::BodyStalled => Trouble::passing("the server's answer is no HTTP"),
        ureq::Error::ConnectProxyFailed(_) => Trouble::passing("the proxy does not connect"),
        ureq::Error::Rustls(error) => Trouble::Lasting(format!("no secure connection: {error}")),
        ureq::Error::TooManyRedirects => Trouble::Lasting(format!("it is redirected more than {MAX_REDIRECTS} times")),
        ureq::Error::RequireHttpsOnly(_) => {
            Trouble::Lasting("it is redirected from https to http, and there is no digest to check it by".into())
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Trouble::Lasting("the url can't be understood".into()),
        ureq::Error::LargeResponseHeader(..) => Trouble::Lasting("the server's headers are too large".into()),
        _ => Trouble::Lasting("the request fails".into()),
    }
}

/// Returns a url as people may see it: without the query, which may hold a token.
pub(crate) fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or(url).chars().filter(|symbol| !symbol.is_control()).collect()
}
