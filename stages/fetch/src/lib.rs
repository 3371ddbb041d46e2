//! The stage `fetch`: files from the network, checked and unpacked.
//!
//! It reads urls and writes the folder `files`: what was downloaded, or what came out of these archives. The digests that
//! the parameters name decide every byte, so that urls are no part of the key where there is a digest.
//!
//! [`download`] brings a file here, over as many tries as it takes, and believes it only once its digest fits; what is
//! unfinished lies in a folder that outlives the run. [`archive`] reads archives entry by entry, and [`tree`] decides
//! whether an entry may lie where it wants to, and writes it.

mod archive;
mod digest;
mod download;
mod error;
mod http;
mod stage;
#[cfg(test)]
mod testing;
mod tree;

pub use error::{EntryProblem, FetchError};
pub use stage::Fetch;
