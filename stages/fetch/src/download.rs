//! [`Downloader`]: brings a file here, over as many tries as it takes, and checks it.
//!
//! In the folder of downloads, which outlives requests and is shared by processes:
//!
//! ```text
//! <id>.lock       held by who works on it; id is the BLAKE3 of the digest, or else of the url
//! <id>/data       what is here so far
//! <id>/state.json of which url and version that is
//! <id>/whole      all of it, once its digest was right
//! ```

mod attempt;

use crate::FetchError;
use crate::digest::digests;
use crate::http::{Client, Trouble, shown};
use attempt::TryError;
use fs_err as fs;
use pipe_schemas::stages::fetch::{Algorithm, FetchFile};
use pipe_stage::{Context, StageError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So much more than ever before is progress: the tries are counted anew.
const PROGRESS_BYTES: u64 = 1 << 20;
/// How often it is looked whether another process is done, or the stage is told to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How much is put up with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Tries without progress.
    pub(crate) tries: u32,
    /// Before the second try; each further wait is twice as long.
    pub(crate) first_wait: Duration,
    /// How long a connection may be silent.
    pub(crate) silence: Duration,
    /// In each of these spans, [`Patience::least_bytes`] must come.
    pub(crate) span: Duration,
    pub(crate) least_bytes: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 5,
            first_wait: Duration::from_millis(500),
            silence: Duration::from_secs(30),
            span: Duration::from_mins(1),
            least_bytes: 60_000,
        }
    }
}

/// Downloads files one by one.
pub(crate) struct Downloader<'a> {
    context: &'a Context,
    client: Client,
    patience: Patience,
    max_bytes: u64,
}

/// A file that is here, and was found to be right. Nobody else touches it meanwhile.
pub(crate) struct Download {
    /// As people may see it.
    pub(crate) url: String,
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// Of a file that had no digest to be checked against, its SHA-256.
    pub(crate) unchecked: Option<String>,
    folder: PathBuf,
    _lock: fs::File,
}

impl Download {
    /// Removes what is left of it here.
    pub(crate) fn finish(self) -> Result<(), StageError> {
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

impl<'a> Downloader<'a> {
    pub(crate) fn new(context: &'a Context, patience: Patience, max_bytes: u64) -> Self {
        Self { context, client: Client::new(patience.silence), patience, max_bytes }
    }

    /// Returns the file, as soon as all of it is here and is right.
    pub(crate) fn get(&self, file: &FetchFile) -> Result<Download, StageError> {
        let all = self.context.downloads()?;
        let (name, content) = file.content();
        let id = blake3::hash(format!("{name}:{content}").as_bytes()).to_hex();
        let lock = self.lock(&all.join(format!("{id}.lock")))?;
        let folder = all.join(id.as_str());
        fs::create_dir_all(&folder)?;
        let whole = folder.join("whole");
        let known = !file.unchecked && whole.exists() && self.check(file, &whole)?.is_ok();
        let unchecked = if known { None } else { self.bring(file, &folder, &whole)? };
        let size_bytes = fs::metadata(&whole)?.len();
        Ok(Download { url: shown(&file.url), path: whole, size_bytes, unchecked, folder, _lock: lock })
    }

    /// Waits until no other process is at the same file.
    fn lock(&self, path: &Path) -> Result<fs::File, StageError> {
        let lock = fs::File::create(path)?;
        loop {
            match lock.file().try_lock() {
                Ok(()) => return Ok(lock),
                Err(std::fs::TryLockError::WouldBlock) => self.wait(LOOK_EVERY)?,
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
            std::thread::sleep(left.min(LOOK_EVERY));
        }
    }

    /// Downloads until `whole` is there. Returns the digest of a file that has none to be checked against.
    fn bring(&self, file: &FetchFile, folder: &Path, whole: &Path) -> Result<Option<String>, StageError> {
        let data = folder.join("data");
        let size = || fs::metadata(&data).map_or(0, |metadata| metadata.len());
        let (mut tries, mut most, mut resumed) = (1, size(), size() > 0);
        loop {
            let trouble = match self.attempt(file, folder, &data) {
                Ok(()) | Err(TryError::Trouble(Trouble::NothingMore)) => match self.check(file, &data)? {
                    Ok(unchecked) => {
                        fs::rename(&data, whole)?;
                        return Ok(unchecked);
                    }
                    // One of the pieces may have been of another file: once more, in one piece.
                    Err(_) if resumed => Trouble::NoRest,
                    Err(wrong) => {
                        let page = looks_like_a_page(&data);
                        fs::remove_file(&data)?;
                        let error = StageError::from(wrong);
                        return Err(if page { error.with_help("what came looks like a web page") } else { error });
                    }
                },
                Err(TryError::Trouble(trouble)) => trouble,
                Err(TryError::Error(error)) => return Err(error),
            };
            resumed = size() > 0;
            let (reason, wait) = match trouble {
                Trouble::Passing { reason, wait } => (reason, wait),
                Trouble::Lasting(reason) => return Err(failed(file, reason)),
                Trouble::NoRest | Trouble::NothingMore => {
                    fs::write(&data, [])?;
                    resumed = false;
                    ("its parts do not fit together".to_owned(), None)
                }
            };
            if size() >= most.saturating_add(PROGRESS_BYTES) {
                tries = 0;
            }
            most = most.max(size());
            if tries >= self.patience.tries {
                return Err(failed(file, format!("{reason} (tried {tries} times)")));
            }
            let next = self.patience.first_wait * 2_u32.saturating_pow(tries);
            tries += 1;
            self.context.log(format_args!("{}: {reason}; try {tries} of {}", shown(&file.url), self.patience.tries));
            self.wait(wait.unwrap_or(next))?;
        }
    }

    /// Says whether a file is right; of one that has no digest to be checked against, the digest.
    fn check(&self, file: &FetchFile, path: &Path) -> Result<Result<Option<String>, FetchError>, StageError> {
        let expected = file.digests();
        let algorithms: Vec<Algorithm> = expected.iter().map(|(algorithm, _)| *algorithm).collect();
        let algorithms = if algorithms.is_empty() { vec![Algorithm::Sha256] } else { algorithms };
        let found = digests(path, &algorithms, |_| self.context.check_cancelled())?;
        if expected.is_empty() {
            return Ok(Ok(found.into_iter().next()));
        }
        let wrong = expected.into_iter().zip(found).find(|((_, expected), found)| expected != found);
        Ok(match wrong {
            None => Ok(None),
            Some(((algorithm, expected), found)) => {
                Err(FetchError::Digest { url: shown(&file.url), algorithm: algorithm.name(), expected, found })
            }
        })
    }
}

fn failed(file: &FetchFile, reason: String) -> StageError {
    FetchError::Download { url: shown(&file.url), reason }.told()
}

/// Servers that lost a file, and hotels, send a page in its place.
fn looks_like_a_page(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start).trim_start().to_lowercase();
    read.is_ok() && (start.starts_with("<!doctype html") || start.starts_with("<html"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Asked, Server, answer, file, run, served, tree};
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

    /// Checks that a server's file comes, over `requests`.
    fn check(server: &Server, requests: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        let ran = get(folder.path(), file(server.url("/a/b%20c.bin?token=secret"), &content()));
        assert_eq!(ran.lines(), ["1 downloads, 1 MB"]);
        assert_eq!(tree(&folder.path().join("files")), [("b c.bin".to_owned(), content())]);
        let short = |line: String| line.replace("/a/b%20c.bin?token=secret", "GET");
        assert_eq!(server.log().into_iter().map(short).collect::<Vec<_>>(), requests);
        let left = tree(&folder.path().join("downloads"));
        assert!(left.iter().all(|(name, _)| Path::new(name).extension().is_some_and(|end| end == "lock")), "{left:?}");
    }

    /// Checks that a file does not come, and why; `requests` are counted.
    fn refused(server: &Server, why: &str, requests: usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let told = get(folder.path(), file(server.url("/a?token=secret"), &content())).error();
        assert!(told.contains(why) && told.contains("/a") && !told.contains("secret"), "{told}");
        assert_eq!(server.log().len(), requests, "{told}");
        assert!(!folder.path().join("files/a").exists());
    }

    /// Answers with the first bytes only, as when a connection is cut.
    fn cut(asked: &Asked, content: &[u8], size: usize, headers: &[&str]) -> Vec<u8> {
        let mut all = served(asked, content, headers);
        all.truncate(all.len() - asked.offset.map_or(content.len(), |offset| content.len() - offset) + size);
        all
    }

    #[test]
    fn a_file_comes_in_as_many_pieces_as_it_takes() {
        check(&Server::answering(|asked| served(asked, &content(), &[])), &["GET"]);
        let first = |asked: &Asked| asked.number == 0;
        let tag = "ETag: \"v1\"";
        let cut_once = Server::answering(move |asked| {
            if first(asked) { cut(asked, &content(), 1000, &[tag]) } else { served(asked, &content(), &[tag]) }
        });
        check(&cut_once, &["GET", "GET from 1000 if \"v1\""]);
        // A weak tag does not stand for bytes; a date does.
        let date = "Last-Modified: Tue, 01 Oct 2013 10:00:00 GMT";
        let weak = Server::answering(move |asked| {
            if first(asked) {
                cut(asked, &content(), 1000, &["ETag: W/\"v1\"", date])
            } else {
                served(asked, &content(), &[])
            }
        });
        check(&weak, &["GET", "GET from 1000 if Tue, 01 Oct 2013 10:00:00 GMT"]);
        let deaf = Server::answering(move |asked| {
            let whole = Asked { offset: None, ..asked.clone() };
            if first(asked) { cut(&whole, &content(), 1000, &[]) } else { served(&whole, &content(), &[]) }
        });
        check(&deaf, &["GET", "GET from 1000"]);
        let elsewhere = Server::answering(move |asked| match first(asked) {
            true => cut(asked, &content(), 1000, &[]),
            false if asked.offset.is_some() => {
                answer("206 Partial Content", &["Content-Range: bytes 7-2999/3000", "Content-Length: 4"], b"1234")
            }
            false => served(asked, &content(), &[]),
        });
        check(&elsewhere, &["GET", "GET from 1000", "GET"]);
        let more_than_there_is = Server::answering(move |asked| {
            if first(asked) {
                answer("200 OK", &["Content-Length: 4000"], &content())
            } else {
                served(asked, &content(), &[])
            }
        });
        check(&more_than_there_is, &["GET", "GET from 3000"]);
        let another_version = Server::answering(move |asked| {
            if first(asked) { cut(asked, &[9; 3000], 1000, &[]) } else { served(asked, &content(), &[]) }
        });
        check(&another_version, &["GET", "GET from 1000", "GET"]);
    }

    #[test]
    fn what_passes_is_waited_for() {
        let busy = Server::answering(|asked| match asked.number {
            0 => answer("503 Service Unavailable", &["Retry-After: 0", "Content-Length: 0"], &[]),
            1 => Vec::new(),
            _ => served(asked, &content(), &[]),
        });
        check(&busy, &["GET", "GET", "GET"]);
        let silent = Server::start(|asked, stream| {
            if asked.number == 0 {
                stream.write_all(&cut(asked, &content(), 1000, &[]))?;
                std::thread::sleep(Duration::from_secs(3));
                return Ok(());
            }
            stream.write_all(&served(asked, &content(), &[]))
        });
        check(&silent, &["GET", "GET from 1000"]);
        let slow = Server::start(|asked, stream| {
            if asked.number > 0 {
                return stream.write_all(&served(asked, &content(), &[]));
            }
            stream.write_all(&cut(asked, &content(), 0, &[]))?;
            for byte in content() {
                stream.write_all(&[byte])?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        });
        let folder = tempfile::tempdir().expect("a folder");
        get(folder.path(), file(slow.url("/a"), &content())).lines();
        assert_eq!(slow.log().len(), 2, "it was given up, and gone on with");
        let moved = Server::answering(|asked| match asked.path.as_str() {
            "/new" => served(asked, &content(), &[]),
            _ => answer("302 Found", &["Location: /new", "Content-Length: 0"], &[]),
        });
        check(&moved, &["GET", "/new"]);
    }

    #[test]
    fn what_will_not_come_is_told() {
        let status = |status: &'static str| Server::answering(move |_| answer(status, &["Content-Length: 0"], &[]));
        refused(&status("404 Not Found"), "the server answers 404", 1);
        refused(&status("502 Bad Gateway"), "the server answers 502 (tried 3 times)", 3);
        refused(&Server::answering(|_| Vec::new()), "(tried 3 times)", 3);
        refused(&Server::answering(|_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "no HTTP (tried 3 times)", 3);
        let circle = Server::answering(|_| answer("302 Found", &["Location: /a", "Content-Length: 0"], &[]));
        refused(&circle, "redirected more than 10 times", 11);
        let never_whole = Server::answering(|_| answer("200 OK", &["Content-Length: 9000"], &[1; 500]));
        refused(&never_whole, "ended after 500 of 9000 bytes: Peer disconnected (tried 3 times)", 3);
        let wrong = Server::answering(|asked| served(asked, &[1; 3000], &[]));
        refused(&wrong, "its blake3 is", 1);
        let too_short = Server::answering(|_| answer("200 OK", &["Content-Length: 1000"], &content()));
        refused(&too_short, "its blake3 is", 1);
        let large = Server::answering(|_| answer("200 OK", &["Content-Length: 100001"], &[1]));
        refused(&large, "more than the 100000 bytes that `max_bytes` allows", 1);
        let endless = Server::start(|_, stream| {
            stream.write_all(&answer("200 OK", &[], &[]))?;
            loop {
                stream.write_all(&[0; 4096])?;
            }
        });
        refused(&endless, "more than the 100000 bytes that `max_bytes` allows", 1);
        let headers = Server::answering(|_| answer("200 OK", &[&format!("X: {}", "y".repeat(1 << 20))], &[]));
        refused(&headers, "headers are too large", 1);
        let folder = tempfile::tempdir().expect("a folder");
        let secure = wrong.url("/a").replace("http:", "https:");
        let told = get(folder.path(), file(secure, &content())).error();
        assert!(told.contains("can't be downloaded"), "{told}");
        let page = Server::answering(|asked| served(asked, b"\n<!DOCTYPE html><p>Log in first", &[]));
        let ran = get(folder.path(), file(page.url("/a"), &content()));
        assert_eq!(ran.result.expect_err("a page").help(), Some("what came looks like a web page"));
    }

    #[test]
    fn a_later_run_goes_on_from_where_the_last_one_failed() {
        let server = Server::answering(|asked| match asked.number {
            0..3 => cut(asked, &content(), 500, &["ETag: \"v1\""]),
            _ => served(asked, &content(), &["ETag: \"v1\""]),
        });
        let folder = tempfile::tempdir().expect("a folder");
        let url = server.url("/a");
        let told = get(folder.path(), file(url.clone(), &content())).error();
        assert!(told.contains("ended after 1500 of 3000 bytes: Peer disconnected (tried 3 times)"), "{told}");
        get(folder.path(), file(url, &content())).lines();
        assert_eq!(server.log(), ["/a", "/a from 500 if \"v1\"", "/a from 1000 if \"v1\"", "/a from 1500 if \"v1\""]);
        assert_eq!(tree(&folder.path().join("files")), [("a".to_owned(), content())]);
        // A mirror may go on with it, but what it says of its own versions means nothing there.
        let other = Server::answering(|asked| served(asked, &content(), &[]));
        let folder = tempfile::tempdir().expect("a folder");
        let cutting = Server::answering(|asked| match asked.number {
            0 => cut(asked, &content(), 500, &["ETag: \"v1\""]),
            _ => answer("404 Not Found", &["Content-Length: 0"], &[]),
        });
        get(folder.path(), file(cutting.url("/a"), &content())).error();
        get(folder.path(), file(other.url("/a"), &content())).lines();
        assert_eq!(other.log(), ["/a from 500"]);
    }

    #[test]
    fn without_a_digest_only_pieces_of_one_version_are_put_together() {
        let unchecked = |url: String| FetchFile { url, unchecked: true, ..FetchFile::default() };
        for (headers, expect) in [(vec!["ETag: \"v1\""], "/a from 1000 if \"v1\""), (vec![], "/a")] {
            let server = Server::answering(move |asked| match asked.number {
                0 => cut(asked, &content(), 1000, &headers),
                _ => served(asked, &content(), &headers),
            });
            let folder = tempfile::tempdir().expect("a folder");
            let ran = get(folder.path(), unchecked(server.url("/a")));
            assert_eq!(tree(&folder.path().join("files")), [("a".to_owned(), content())]);
            assert_eq!(server.log(), ["/a", expect]);
            let told = ran.warnings.concat();
            assert!(told.contains("is taken unchecked; to have it checked, write sha256: "), "{told}");
        }
    }

    #[test]
    fn files_of_this_machine_are_copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("a b.bin");
        fs_err::write(&source, content()).expect("written");
        let url = format!("file://{}", source.display()).replace(' ', "%20");
        get(folder.path(), file(url, &content())).lines();
        assert_eq!(tree(&folder.path().join("files")), [("a b.bin".to_owned(), content())]);
        assert!(source.exists());
        let of = |path: &Path| get(folder.path(), file(format!("file://{}", path.display()), &content())).error();
        assert!(of(folder.path()).contains("it is no file"));
        assert!(of(&folder.path().join("absent")).contains("No such file"));
    }
}
