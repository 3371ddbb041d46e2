//! [`Client`]: makes one request for a file, or for the rest of one.

use pipe_schemas::stages::fetch::percent_decoded;
use std::io::Read;
use std::time::Duration;
use ureq::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use ureq::tls::{RootCerts, TlsConfig};

/// Timeout for connecting, and for the first byte of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum number of redirects.
const MAX_REDIRECTS: u32 = 10;
/// Maximum delay before a retry that a server may request.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// An HTTP client, which also opens local files.
pub(crate) struct Client {
    agent: ureq::Agent,
    /// Follows no redirect from https to http.
    https_only: ureq::Agent,
}

/// A request for a file, or for the rest of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) url: &'a str,
    /// Number of bytes that are already downloaded.
    pub(crate) offset: u64,
    /// The validator of the part that is already downloaded.
    pub(crate) validator: Option<&'a str>,
    /// The file has no digest, so only https protects it from tampering.
    pub(crate) unverified: bool,
}

/// The response to a [`Request`].
pub(crate) struct Response {
    /// Position of `body` in the file: the requested offset, or 0.
    pub(crate) offset: u64,
    /// Size of the whole file, if known.
    pub(crate) size_bytes: Option<u64>,
    /// Entity tag or date by which the server recognises this version of the file.
    pub(crate) validator: Option<String>,
    pub(crate) body: Box<dyn Read>,
}

/// Why a request failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FetchFailure {
    /// A retry may succeed.
    Temporary { reason: String, retry_after: Option<Duration> },
    /// A retry would fail in the same way.
    Permanent(String),
    /// The server does not send the rest of the file. A request for the whole file may succeed.
    NoRange,
    /// The file has no more bytes than are already downloaded.
    Complete,
}

impl FetchFailure {
    pub(crate) fn temporary(reason: impl ToString) -> Self {
        Self::Temporary { reason: reason.to_string(), retry_after: None }
    }
}

impl Client {
    /// Returns a client that closes a connection if no byte arrives for `read_timeout`.
    pub(crate) fn new(read_timeout: Duration) -> Self {
        // This fails if another part of the process has set the same provider, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = |https_only| {
            let config = ureq::Agent::config_builder()
                .https_only(https_only)
                .http_status_as_error(false)
                .max_redirects(MAX_REDIRECTS)
                .timeout_connect(Some(RESPONSE_TIMEOUT))
                .timeout_recv_response(Some(RESPONSE_TIMEOUT))
                .timeout_per_read(Some(read_timeout))
                .user_agent(concat!("pipe/", env!("CARGO_PKG_VERSION")))
                // The digest is that of the file, not of a compressed copy.
                .accept_encoding("identity")
                .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
            config.build().new_agent()
        };
        Self { agent: agent(false), https_only: agent(true) }
    }

    /// Requests a file, or the rest of one.
    pub(crate) fn get(&self, request: &Request) -> Result<Response, FetchFailure> {
        match request.url.strip_prefix("file://") {
            Some(path) => open(&percent_decoded(path)),
            None => self.get_http(request),
        }
    }

    fn get_http(&self, request: &Request) -> Result<Response, FetchFailure> {
        let https_only = request.unverified && request.url.starts_with("https://");
        let mut get = if https_only { &self.https_only } else { &self.agent }.get(request.url);
        if request.offset > 0 {
            get = get.header(RANGE, format!("bytes={}-", request.offset));
            if let Some(validator) = request.validator {
                get = get.header(IF_RANGE, validator);
            }
        }
        let response = get.call().map_err(|error| failure(&error))?;
        let (parts, body) = response.into_parts();
        let headers = &parts.headers;
        let body_bytes = text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok());
        let (offset, size_bytes) = match (parts.status.as_u16(), content_range(headers)) {
            (200, _) => (0, body_bytes),
            (206, Some((Some(start), size_bytes))) if request.offset > 0 && start == request.offset => {
                (start, size_bytes.or_else(|| start.checked_add(body_bytes?)))
            }
            (206, _) => return Err(FetchFailure::NoRange),
            (416, Some((None, Some(size_bytes)))) if size_bytes == request.offset => {
                return Err(FetchFailure::Complete);
            }
            (416, _) if request.offset > 0 => return Err(FetchFailure::NoRange),
            (status @ (408 | 425 | 429 | 500 | 502 | 503 | 504), _) => {
                let secs = text(headers, RETRY_AFTER.as_str()).and_then(|secs| secs.parse().ok());
                let retry_after = secs.map(|secs| Duration::from_secs(secs).min(MAX_RETRY_AFTER));
                let reason = format!("the server responded with status {status}");
                return Err(FetchFailure::Temporary { reason, retry_after });
            }
            (status, _) => {
                return Err(FetchFailure::Permanent(format!("the server responded with status {status}")));
            }
        };
        let validator = validator(headers);
        Ok(Response { offset, size_bytes, validator, body: Box::new(body.into_reader()) })
    }
}

/// Opens a local file.
fn open(path: &str) -> Result<Response, FetchFailure> {
    let permanent = |error: std::io::Error| FetchFailure::Permanent(error.to_string());
    // Opening a named pipe would block.
    let metadata = fs_err::metadata(path).map_err(permanent)?;
    if !metadata.is_file() {
        return Err(FetchFailure::Permanent("it is not a file".into()));
    }
    let body = Box::new(fs_err::File::open(path).map_err(permanent)?);
    Ok(Response { offset: 0, size_bytes: Some(metadata.len()), validator: None, body })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Parses `bytes 5-9/10` to the start and the size of the whole file. `bytes */10` has no start.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let (range, size_bytes) = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?.split_once('/')?;
    let start = if range == "*" { None } else { Some(range.split_once('-')?.0.parse().ok()?) };
    Some((start, size_bytes.parse().ok()))
}

/// Returns a value for `If-Range`: a strong entity tag, or else the date of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    if text(headers, ACCEPT_RANGES.as_str()) == Some("none") {
        return None;
    }
    let tag = text(headers, ETAG.as_str()).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers, LAST_MODIFIED.as_str())).filter(|text| text.len() <= 1024).map(str::to_owned)
}

/// Describes an error, without any URL.
fn failure(error: &ureq::Error) -> FetchFailure {
    match error {
        ureq::Error::Io(error) => FetchFailure::temporary(error),
        ureq::Error::Timeout(_) => FetchFailure::temporary("the server did not respond in time"),
        ureq::Error::HostNotFound => FetchFailure::temporary("host not found, or no network"),
        ureq::Error::ConnectionFailed => FetchFailure::temporary("connection failed"),
        ureq::Error::Protocol(_) | ureq::Error::BodyStalled => {
            FetchFailure::temporary("the response is not valid HTTP")
        }
        ureq::Error::ConnectProxyFailed(_) => FetchFailure::temporary("the proxy refused the connection"),
        ureq::Error::Rustls(error) => FetchFailure::Permanent(format!("TLS failed: {error}")),
        ureq::Error::TooManyRedirects => FetchFailure::Permanent(format!("more than {MAX_REDIRECTS} redirects")),
        ureq::Error::RequireHttpsOnly(_) => FetchFailure::Permanent(
            "redirected from https to http, and there is no digest to verify the file with".into(),
        ),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => FetchFailure::Permanent("the URL is not valid".into()),
        ureq::Error::LargeResponseHeader(..) => FetchFailure::Permanent("the response headers are too large".into()),
        _ => FetchFailure::Permanent("the request failed".into()),
    }
}

/// Returns a URL for messages, without the query, which may contain a token.
pub(crate) fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or(url).chars().filter(|symbol| !symbol.is_control()).collect()
}
