//! [`Downloader`]: downloads a file with retries, and verifies it.
//!
//! The folder of downloads is shared by processes and kept between runs:
//!
//! ```text
//! <id>.lock       locked while a process downloads or uses the file; id is the BLAKE3 of the digest, or else of the URL
//! <id>/data       the part that is downloaded so far
//! <id>/state.json URL and version of that part
//! <id>/whole      the whole file, after its digest was verified
//! ```

mod attempt;

use crate::FetchError;
use crate::digest::digests;
use crate::http::{Client, FetchFailure, without_query};
use attempt::AttemptError;
use fs_err as fs;
use pipe_schemas::stages::fetch::{Algorithm, FetchFile};
use pipe_stage::{Context, StageError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After this many new bytes, the number of attempts starts again from zero.
const PROGRESS_BYTES: u64 = 1 << 20;
/// Interval of checks for the lock of another process, and for cancellation.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// When to retry, and when to give up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// Maximum number of attempts without progress.
    pub(crate) max_attempts: u32,
    /// Delay before the second attempt. Doubles with each further attempt.
    pub(crate) first_delay: Duration,
    /// Maximum time without any byte.
    pub(crate) read_timeout: Duration,
    /// At least [`Self::min_bytes_per_interval`] must arrive in each interval of this length.
    pub(crate) rate_interval: Duration,
    pub(crate) min_bytes_per_interval: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            first_delay: Duration::from_millis(500),
            read_timeout: Duration::from_secs(30),
            rate_interval: Duration::from_mins(1),
            min_bytes_per_interval: 60_000,
        }
    }
}

/// Downloads files one by one.
pub(crate) struct Downloader<'a> {
    context: &'a Context,
    client: Client,
    retry: RetryPolicy,
    max_bytes: u64,
}

/// A downloaded and verified file. It is locked until this value is dropped.
pub(crate) struct Download {
    /// The URL for messages, without its query.
    pub(crate) url: String,
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// The SHA-256 of a file that has no digest to verify.
    pub(crate) unchecked: Option<String>,
    folder: PathBuf,
    _lock: fs::File,
}

impl Download {
    /// Deletes the file from the folder of downloads.
    pub(crate) fn finish(self) -> Result<(), StageError> {
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

impl<'a> Downloader<'a> {
    pub(crate) fn new(context: &'a Context, retry: RetryPolicy, max_bytes: u64) -> Self {
        Self { context, client: Client::new(retry.read_timeout), retry, max_bytes }
    }

    /// Downloads and verifies a file.
    pub(crate) fn get(&self, file: &FetchFile) -> Result<Download, StageError> {
        let all = self.context.downloads()?;
        let (name, content) = file.content();
        let id = blake3::hash(format!("{name}:{content}").as_bytes()).to_hex();
        let lock = self.lock(&all.join(format!("{id}.lock")))?;
        let folder = all.join(id.as_str());
        fs::create_dir_all(&folder)?;
        let whole = folder.join("whole");
        let is_verified = !file.unchecked && whole.exists() && self.check(file, &whole)?.is_ok();
        let unchecked = if is_verified { None } else { self.download(file, &folder, &whole)? };
        let size_bytes = fs::metadata(&whole)?.len();
        Ok(Download { url: without_query(&file.url), path: whole, size_bytes, unchecked, folder, _lock: lock })
    }

    /// Waits until no other process works on the same file.
    fn lock(&self, path: &Path) -> Result<fs::File, StageError> {
        let lock = fs::File::create(path)?;
        loop {
            match lock.file().try_lock() {
                Ok(()) => return Ok(lock),
                Err(std::fs::TryLockError::WouldBlock) => self.wait(POLL_INTERVAL)?,
                Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
            }
        }
    }

    fn wait(&self, time: Duration) -> Result<(), StageError> {
        let until = Instant::now() + time;
        loop {
            self.context.check_cancelled()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }

    /// Downloads a file to `whole`, with retries. Returns the SHA-256 if the file has no digest to verify.
    fn download(&self, file: &FetchFile, folder: &Path, whole: &Path) -> Result<Option<String>, StageError> {
        let data = folder.join("data");
        let size = || fs::metadata(&data).map_or(0, |metadata| metadata.len());
        let (mut attempts, mut max_size, mut resumed) = (1, size(), size() > 0);
        loop {
            let failure = match self.attempt(file, folder, &data) {
                Ok(()) | Err(AttemptError::Fetch(FetchFailure::Complete)) => match self.check(file, &data)? {
                    Ok(unchecked) => {
                        fs::rename(&data, whole)?;
                        return Ok(unchecked);
                    }
                    // One of the parts may belong to another version: download the whole file again.
                    Err(_) if resumed => FetchFailure::NoRange,
                    Err(wrong) => {
                        let is_page = is_web_page(&data);
                        fs::remove_file(&data)?;
                        let error = StageError::from(wrong);
                        let help = "the server sent a web page instead of the file; check the URL and the network";
                        return Err(if is_page { error.with_help(help) } else { error });
                    }
                },
                Err(AttemptError::Fetch(failure)) => failure,
                Err(AttemptError::Stage(error)) => return Err(error),
            };
            resumed = size() > 0;
            let (reason, retry_after) = match failure {
                FetchFailure::Temporary { reason, retry_after } => (reason, retry_after),
                FetchFailure::Permanent(reason) => return Err(failed(file, reason)),
                FetchFailure::NoRange | FetchFailure::Complete => {
                    fs::write(&data, [])?;
                    resumed = false;
                    ("the downloaded parts do not belong together".to_owned(), None)
                }
            };
            if size() >= max_size.saturating_add(PROGRESS_BYTES) {
                attempts = 0;
            }
            max_size = max_size.max(size());
            let max_attempts = self.retry.max_attempts;
            if attempts >= max_attempts {
                return Err(failed(file, format!("{reason} ({attempts} attempts)")));
            }
            let delay = self.retry.first_delay * 2_u32.saturating_pow(attempts);
            attempts += 1;
            let url = without_query(&file.url);
            self.context.log(format_args!("{url}: {reason}; attempt {attempts} of {max_attempts}"));
            self.wait(retry_after.unwrap_or(delay))?;
        }
    }

    /// Verifies the digests of a file. Returns the SHA-256 of a file that has no digest to verify.
    fn check(&self, file: &FetchFile, path: &Path) -> Result<Result<Option<String>, FetchError>, StageError> {
        let expected = file.digests();
        let algorithms: Vec<Algorithm> = expected.iter().map(|(algorithm, _)| *algorithm).collect();
        let algorithms = if algorithms.is_empty() { vec![Algorithm::Sha256] } else { algorithms };
        let found = digests(path, &algorithms, || self.context.check_cancelled())?;
        if expected.is_empty() {
            return Ok(Ok(found.into_iter().next()));
        }
        let wrong = expected.into_iter().zip(found).find(|((_, expected), found)| expected != found);
        Ok(match wrong {
            None => Ok(None),
            Some(((algorithm, expected), found)) => {
                Err(FetchError::Digest { url: without_query(&file.url), algorithm: algorithm.name(), expected, found })
            }
        })
    }
}

fn failed(file: &FetchFile, reason: String) -> StageError {
    FetchError::Download { url: without_query(&file.url), reason }.into_stage_error()
}

/// Returns whether a file is a web page, which some servers and networks send instead of a missing file.
fn is_web_page(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start).trim_start().to_lowercase();
    read.is_ok() && (start.starts_with("<!doctype html") || start.starts_with("<html"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Request, Server, file, respond, response, run, tree};
    use pipe_schemas::stages::fetch::{FetchFile, FetchParams};
    use pipe_testkit::Ran;
    use std::io::Write;
    use std::path::Path;
    use std::time::Duration;

    fn content() -> Vec<u8> {
        (0..3000_u32).map(|number| (number * 7 % 251) as u8).collect()
    }

    fn get(folder: &Path, file: FetchFile) -> Ran {
        run(folder, &FetchParams { files: vec![file], unpack: false, max_bytes: 100_000, ..FetchParams::default() })
    }

    /// Asserts that the file of a server is downloaded with `requests`.
    fn check(server: &Server, requests: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        let ran = get(folder.path(), file(server.url("/a/b%20c.bin?token=secret"), &content()));
        assert_eq!(ran.lines(), ["1 file downloaded, 1 MB"]);
        assert_eq!(tree(&folder.path().join("files")), [("b c.bin".to_owned(), content())]);
        let short = |line: String| line.replace("/a/b%20c.bin?token=secret", "GET");
        assert_eq!(server.log().into_iter().map(short).collect::<Vec<_>>(), requests);
        let left = tree(&folder.path().join("downloads"));
        assert!(left.iter().all(|(name, _)| Path::new(name).extension().is_some_and(|end| end == "lock")), "{left:?}");
    }

    /// Asserts that a download fails with `why`, after this number of requests.
    fn refused(server: &Server, why: &str, requests: usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let error = get(folder.path(), file(server.url("/a?token=secret"), &content())).error();
        assert!(error.contains(why) && error.contains("/a") && !error.contains("secret"), "{error}");
        assert_eq!(server.log().len(), requests, "{error}");
        assert!(!folder.path().join("files/a").exists());
    }

    /// Returns only the first bytes of a response, as if the connection was lost.
    fn cut(request: &Request, content: &[u8], size: usize, headers: &[&str]) -> Vec<u8> {
        let mut all = respond(request, content, headers);
        all.truncate(all.len() - request.offset.map_or(content.len(), |offset| content.len() - offset) + size);
        all
    }

    #[test]
    fn interrupted_downloads_resume() {
        check(&Server::responding(|request| respond(request, &content(), &[])), &["GET"]);
        let first = |request: &Request| request.number == 0;
        let tag = "ETag: \"v1\"";
        let cut_once = Server::responding(move |request| {
            if first(request) { cut(request, &content(), 1000, &[tag]) } else { respond(request, &content(), &[tag]) }
        });
        check(&cut_once, &["GET", "GET from 1000 if \"v1\""]);
        // A weak entity tag does not identify bytes; a date does.
        let date = "Last-Modified: Tue, 01 Oct 2013 10:00:00 GMT";
        let weak = Server::responding(move |request| {
            if first(request) {
                cut(request, &content(), 1000, &["ETag: W/\"v1\"", date])
            } else {
                respond(request, &content(), &[])
            }
        });
        check(&weak, &["GET", "GET from 1000 if Tue, 01 Oct 2013 10:00:00 GMT"]);
        let ignores_ranges = Server::responding(move |request| {
            let whole = Request { offset: None, ..request.clone() };
            if first(request) { cut(&whole, &content(), 1000, &[]) } else { respond(&whole, &content(), &[]) }
        });
        check(&ignores_ranges, &["GET", "GET from 1000"]);
        let wrong_range = Server::responding(move |request| match first(request) {
            true => cut(request, &content(), 1000, &[]),
            false if request.offset.is_some() => {
                response("206 Partial Content", &["Content-Range: bytes 7-2999/3000", "Content-Length: 4"], b"1234")
            }
            false => respond(request, &content(), &[]),
        });
        check(&wrong_range, &["GET", "GET from 1000", "GET"]);
        let wrong_length = Server::responding(move |request| {
            if first(request) {
                response("200 OK", &["Content-Length: 4000"], &content())
            } else {
                respond(request, &content(), &[])
            }
        });
        check(&wrong_length, &["GET", "GET from 3000"]);
        let another_version = Server::responding(move |request| {
            if first(request) { cut(request, &[9; 3000], 1000, &[]) } else { respond(request, &content(), &[]) }
        });
        check(&another_version, &["GET", "GET from 1000", "GET"]);
    }

    #[test]
    fn temporary_failures_are_retried() {
        let busy = Server::responding(|request| match request.number {
            0 => response("503 Service Unavailable", &["Retry-After: 0", "Content-Length: 0"], &[]),
            1 => Vec::new(),
            _ => respond(request, &content(), &[]),
        });
        check(&busy, &["GET", "GET", "GET"]);
        let silent = Server::start(|request, stream| {
            if request.number == 0 {
                stream.write_all(&cut(request, &content(), 1000, &[]))?;
                std::thread::sleep(Duration::from_secs(3));
                return Ok(());
            }
            stream.write_all(&respond(request, &content(), &[]))
        });
        check(&silent, &["GET", "GET from 1000"]);
        let slow = Server::start(|request, stream| {
            if request.number > 0 {
                return stream.write_all(&respond(request, &content(), &[]));
            }
            stream.write_all(&cut(request, &content(), 0, &[]))?;
            for byte in content() {
                stream.write_all(&[byte])?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        });
        let folder = tempfile::tempdir().expect("a folder");
        get(folder.path(), file(slow.url("/a"), &content())).lines();
        assert_eq!(slow.log().len(), 2, "the slow transfer was aborted and resumed");
        let moved = Server::responding(|request| match request.path.as_str() {
            "/new" => respond(request, &content(), &[]),
            _ => response("302 Found", &["Location: /new", "Content-Length: 0"], &[]),
        });
        check(&moved, &["GET", "/new"]);
    }

    #[test]
    fn permanent_failures_are_reported() {
        let status = |status: &'static str| Server::responding(move |_| response(status, &["Content-Length: 0"], &[]));
        refused(&status("404 Not Found"), "the server responded with status 404", 1);
        refused(&status("502 Bad Gateway"), "the server responded with status 502 (3 attempts)", 3);
        refused(&Server::responding(|_| Vec::new()), "(3 attempts)", 3);
        refused(&Server::responding(|_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "not valid HTTP (3 attempts)", 3);
        let redirect_loop = Server::responding(|_| response("302 Found", &["Location: /a", "Content-Length: 0"], &[]));
        refused(&redirect_loop, "more than 10 redirects", 11);
        let never_whole = Server::responding(|_| response("200 OK", &["Content-Length: 9000"], &[1; 500]));
        refused(&never_whole, "ended after 500 of 9000 bytes: Peer disconnected (3 attempts)", 3);
        let wrong = Server::responding(|request| respond(request, &[1; 3000], &[]));
        refused(&wrong, "has the wrong digest: blake3 is", 1);
        let too_short = Server::responding(|_| response("200 OK", &["Content-Length: 1000"], &content()));
        refused(&too_short, "has the wrong digest: blake3 is", 1);
        let large = Server::responding(|_| response("200 OK", &["Content-Length: 100001"], &[1]));
        refused(&large, "is larger than `max_bytes`, which is 100,000", 1);
        let endless = Server::start(|_, stream| {
            stream.write_all(&response("200 OK", &[], &[]))?;
            loop {
                stream.write_all(&[0; 4096])?;
            }
        });
        refused(&endless, "is larger than `max_bytes`, which is 100,000", 1);
        let headers = Server::responding(|_| response("200 OK", &[&format!("X: {}", "y".repeat(1 << 20))], &[]));
        refused(&headers, "headers are too large", 1);
        let folder = tempfile::tempdir().expect("a folder");
        let secure = wrong.url("/a").replace("http:", "https:");
        let error = get(folder.path(), file(secure, &content())).error();
        assert!(error.contains("can't download"), "{error}");
        let page = Server::responding(|request| respond(request, b"\n<!DOCTYPE html><p>Log in first", &[]));
        let ran = get(folder.path(), file(page.url("/a"), &content()));
        let help = ran.result.expect_err("a web page").help().map(str::to_owned);
        assert!(help.is_some_and(|help| help.contains("a web page")));
    }

    #[test]
    fn a_later_run_resumes_a_failed_download() {
        let server = Server::responding(|request| match request.number {
            0..3 => cut(request, &content(), 500, &["ETag: \"v1\""]),
            _ => respond(request, &content(), &["ETag: \"v1\""]),
        });
        let folder = tempfile::tempdir().expect("a folder");
        let url = server.url("/a");
        let error = get(folder.path(), file(url.clone(), &content())).error();
        assert!(error.contains("ended after 1500 of 3000 bytes: Peer disconnected (3 attempts)"), "{error}");
        get(folder.path(), file(url, &content())).lines();
        assert_eq!(server.log(), ["/a", "/a from 500 if \"v1\"", "/a from 1000 if \"v1\"", "/a from 1500 if \"v1\""]);
        assert_eq!(tree(&folder.path().join("files")), [("a".to_owned(), content())]);
        // Another mirror can resume the download, but the validator of the first server means nothing to it.
        let other = Server::responding(|request| respond(request, &content(), &[]));
        let folder = tempfile::tempdir().expect("a folder");
        let cutting = Server::responding(|request| match request.number {
            0 => cut(request, &content(), 500, &["ETag: \"v1\""]),
            _ => response("404 Not Found", &["Content-Length: 0"], &[]),
        });
        get(folder.path(), file(cutting.url("/a"), &content())).error();
        get(folder.path(), file(other.url("/a"), &content())).lines();
        assert_eq!(other.log(), ["/a from 500"]);
    }

    #[test]
    fn without_a_digest_only_parts_of_one_version_are_combined() {
        let unchecked = |url: String| FetchFile { url, unchecked: true, ..FetchFile::default() };
        for (headers, expect) in [(vec!["ETag: \"v1\""], "/a from 1000 if \"v1\""), (vec![], "/a")] {
            let server = Server::responding(move |request| match request.number {
                0 => cut(request, &content(), 1000, &headers),
                _ => respond(request, &content(), &headers),
            });
            let folder = tempfile::tempdir().expect("a folder");
            let ran = get(folder.path(), unchecked(server.url("/a")));
            assert_eq!(tree(&folder.path().join("files")), [("a".to_owned(), content())]);
            assert_eq!(server.log(), ["/a", expect]);
            let warnings = ran.warnings.concat();
            assert!(
                warnings.contains("has no digest to verify it with; to pin this content, set sha256: "),
                "{warnings}"
            );
        }
    }

    #[test]
    fn local_files_are_copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("a b.bin");
        fs_err::write(&source, content()).expect("written");
        let url = format!("file://{}", source.display()).replace(' ', "%20");
        get(folder.path(), file(url, &content())).lines();
        assert_eq!(tree(&folder.path().join("files")), [("a b.bin".to_owned(), content())]);
        assert!(source.exists());
        let of = |path: &Path| get(folder.path(), file(format!("file://{}", path.display()), &content())).error();
        assert!(of(folder.path()).contains("it is not a file"));
        assert!(of(&folder.path().join("absent")).contains("No such file"));
    }
}
