//! The stage `fetch`: downloads files, verifies their digests and unpacks archives.
//!
//! It writes the folder `files`, which contains the downloaded files, or the content of the downloaded archives. A digest determines
//! every byte of a file, so the key contains the digests, and a URL only if a file has no digest.
//!
//! | module | purpose |
//! |---|---|
//! | [`download`] | downloads a file with retries, and uses it only after its digest is verified. Interrupted downloads resume in a later run. |
//! | [`http`] | makes one HTTP request, or opens a local file |
//! | [`archive`] | reads archives entry by entry |
//! | [`tree`] | decides whether an entry may be unpacked, and writes it |

mod archive;
mod digest;
mod download;
mod entry;
mod error;
mod http;
mod stage;
#[cfg(test)]
mod testing;
mod tree;

pub use error::{EntryProblem, FetchError};
pub use stage::Fetch;
