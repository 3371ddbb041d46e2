//! One attempt to download the missing part of a file: `Downloader::attempt`.

use super::Downloader;
use crate::FetchError;
use crate::http::{FetchFailure, Request, Response, without_query};
use fs_err as fs;
use pipe_schemas::stages::fetch::FetchFile;
use pipe_stage::StageError;
use serde::{Deserialize, Serialize};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

/// Number of bytes to read at once.
const CHUNK_BYTES: usize = 1 << 16;

/// The source of the bytes in `data`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PartialDownload {
    /// BLAKE3 of the URL, which may contain a token.
    url: String,
    validator: Option<String>,
}

/// Why an attempt failed.
pub(super) enum AttemptError {
    /// The server or the connection failed.
    Fetch(FetchFailure),
    /// The stage must fail.
    Stage(StageError),
}

impl<E: Into<StageError>> From<E> for AttemptError {
    fn from(error: E) -> Self {
        Self::Stage(error.into())
    }
}

impl Downloader<'_> {
    /// Makes one request for the missing part, and appends the response to `data`.
    pub(super) fn attempt(&self, file: &FetchFile, folder: &Path, data: &Path) -> Result<(), AttemptError> {
        let state_file = folder.join("state.json");
        // Without a valid state file, the source of the data is unknown.
        let state: PartialDownload =
            fs::read(&state_file).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        let url = blake3::hash(file.url.as_bytes()).to_hex().to_string();
        let validator = state.validator.filter(|_| state.url == url);
        // With a digest, the source of the beginning does not matter: the digest of the whole file is verified.
        let can_resume = !file.unchecked || validator.is_some();
        let offset = if can_resume { fs::metadata(data).map_or(0, |metadata| metadata.len()) } else { 0 };
        let request = Request { url: &file.url, offset, validator: validator.as_deref(), unverified: file.unchecked };
        let response = self.client.get(&request).map_err(AttemptError::Fetch)?;
        let state = PartialDownload { url, validator: response.validator.clone() };
        fs::write(&state_file, serde_json::to_vec(&state)?)?;
        self.append(file, data, response)
    }

    /// Appends the body of a response to `data`.
    fn append(&self, file: &FetchFile, data: &Path, mut response: Response) -> Result<(), AttemptError> {
        let too_large =
            || FetchError::TooLarge { url: without_query(&file.url), limit: self.max_bytes }.into_stage_error();
        if response.size_bytes.is_some_and(|size_bytes| size_bytes > self.max_bytes) {
            return Err(too_large().into());
        }
        let mut out = fs::File::options().write(true).create(true).truncate(false).open(data)?;
        out.file().set_len(response.offset)?;
        out.seek(SeekFrom::Start(response.offset))?;
        let (mut done, mut chunk) = (response.offset, vec![0; CHUNK_BYTES]);
        let (mut interval_start, mut done_at_start) = (Instant::now(), done);
        loop {
            self.context.check_cancelled()?;
            let count = match response.body.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ended(done, response.size_bytes, &error.to_string())),
            };
            done += count as u64;
            if done > self.max_bytes {
                return Err(too_large().into());
            }
            out.write_all(&chunk[..count])?;
            self.report_progress(done, response.size_bytes);
            if interval_start.elapsed() >= self.retry.rate_interval {
                if done - done_at_start < self.retry.min_bytes_per_interval {
                    return Err(ended(done, response.size_bytes, "the transfer was too slow"));
                }
                (interval_start, done_at_start) = (Instant::now(), done);
            }
        }
        match response.size_bytes {
            Some(size_bytes) if done < size_bytes => {
                Err(ended(done, response.size_bytes, "the response is incomplete"))
            }
            _ => Ok(()),
        }
    }

    fn report_progress(&self, done: u64, size_bytes: Option<u64>) {
        let megabytes = |bytes: u64| bytes / 1_000_000;
        // If the size is unknown, the total is always slightly larger than what is done.
        let total = size_bytes.map_or(megabytes(done) + 1, megabytes);
        self.context.progress(megabytes(done), total.max(megabytes(done) + 1), "MB");
    }
}

fn ended(done: u64, size_bytes: Option<u64>, why: &str) -> AttemptError {
    let of = size_bytes.map_or(String::new(), |size_bytes| format!(" of {size_bytes}"));
    AttemptError::Fetch(FetchFailure::temporary(format!("the connection ended after {done}{of} bytes: {why}")))
}
