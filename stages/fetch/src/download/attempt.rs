//! One try to bring a file here: `Downloader::attempt` asks for what is missing, and takes what comes.

use super::Downloader;
use crate::FetchError;
use crate::http::{Answer, Trouble, Wanted, shown};
use fs_err as fs;
use pipe_schemas::stages::fetch::FetchFile;
use pipe_stage::StageError;
use serde::{Deserialize, Serialize};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

/// How much is read at once.
const CHUNK_BYTES: usize = 1 << 16;

/// Of which file `data` is the beginning.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// BLAKE3 of the url, which may hold a token.
    url: String,
    validator: Option<String>,
}

/// How a try ended, if not well.
pub(super) enum TryError {
    Trouble(Trouble),
    Error(StageError),
}

impl<E: Into<StageError>> From<E> for TryError {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Downloader<'_> {
    /// Asks once for what is missing, and takes what comes.
    pub(super) fn attempt(&self, file: &FetchFile, folder: &Path, data: &Path) -> Result<(), TryError> {
        let note = folder.join("state.json");
        // Without a note, or with half of one, the data is of nobody knows what.
        let state: State = fs::read(&note).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        let url = blake3::hash(file.url.as_bytes()).to_hex().to_string();
        let validator = state.validator.filter(|_| state.url == url);
        // Where a digest will tell, it does not matter where the beginning is from.
        let fits = !file.unchecked || validator.is_some();
        let offset = if fits { fs::metadata(data).map_or(0, |metadata| metadata.len()) } else { 0 };
        let wanted = Wanted { url: &file.url, offset, validator: validator.as_deref(), trusting: file.unchecked };
        let answer = self.client.get(&wanted).map_err(TryError::Trouble)?;
        let state = State { url, validator: answer.validator.clone() };
        fs::write(&note, serde_json::to_vec(&state)?)?;
        self.take(file, data, answer)
    }

    /// Writes what comes behind what is here.
    fn take(&self, file: &FetchFile, data: &Path, mut answer: Answer) -> Result<(), TryError> {
        let too_large = || FetchError::TooLarge { url: shown(&file.url), limit: self.max_bytes }.told();
        if answer.size_bytes.is_some_and(|size_bytes| size_bytes > self.max_bytes) {
            return Err(too_large().into());
        }
        let mut out = fs::File::options().write(true).create(true).truncate(false).open(data)?;
        out.file().set_len(answer.offset)?;
        out.seek(SeekFrom::Start(answer.offset))?;
        let (mut done, mut chunk) = (answer.offset, vec![0; CHUNK_BYTES]);
        let (mut since, mut then) = (Instant::now(), done);
        loop {
            self.context.check_cancelled()?;
            let count = match answer.body.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ended(done, answer.size_bytes, &error.to_string())),
            };
            done += count as u64;
            if done > self.max_bytes {
                return Err(too_large().into());
            }
            out.write_all(&chunk[..count])?;
            self.tell(done, answer.size_bytes);
            if since.elapsed() >= self.patience.span {
                if done - then < self.patience.least_bytes {
                    return Err(ended(done, answer.size_bytes, "it came too slowly"));
                }
                (since, then) = (Instant::now(), done);
            }
        }
        match answer.size_bytes {
            Some(size_bytes) if done < size_bytes => Err(ended(done, answer.size_bytes, "there is no more")),
            _ => Ok(()),
        }
    }

    fn tell(&self, done: u64, size_bytes: Option<u64>) {
        let megabytes = |bytes: u64| bytes / 1_000_000;
        // A size that is not told is always a little ahead.
        let total = size_bytes.map_or(megabytes(done) + 1, megabytes);
        self.context.progress(megabytes(done), total.max(megabytes(done) + 1), "MB");
    }
}

fn ended(done: u64, size_bytes: Option<u64>, why: &str) -> TryError {
    let of = size_bytes.map_or(String::new(), |size_bytes| format!(" of {size_bytes}"));
    TryError::Trouble(Trouble::passing(format!("the connection ended after {done}{of} bytes: {why}")))
}
