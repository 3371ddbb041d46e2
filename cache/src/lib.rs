//! Digests, action keys and the store: a second run finds its results here and does nothing.
//!
//! | module | purpose |
//! |---|---|
//! | [`key`] | which fields determine an output, and their hash, the action key |
//! | [`store`] | keeps outputs by content and results by key |
//! | [`remote`] | shares results through an object store or a folder |
//! | [`file_index`] | recognises unchanged source files without reading them |
//! | [`verify`] | finds damaged objects |
//! | [`gc`] | deletes unreferenced objects and old results |
//! | [`stats`] | counts what the store contains |
//!
//! This crate prints nothing and reads no environment variables; callers render what it returns.

mod digest;
mod error;
pub mod file_index;
pub mod gc;
mod hold;
mod inventory;
pub mod key;
mod record;
pub mod remote;
mod replace;
pub mod stats;
pub mod store;
#[cfg(test)]
mod testing;
pub mod verify;

pub use digest::{ActionKey, Digest};
pub use error::CacheError;
pub use file_index::{FileIndex, Fingerprint, KnownFile};
pub use hold::StoreLock;
pub use inventory::{Counted, list_folder, measure_files};
pub use key::{Field, Fields};
pub use record::{ActionRecord, OutputRecord, StateRecord};
pub use remote::{Remote, RemoteError, RemoteSetting, RemoteUrl};
pub use replace::replace_file;
pub use store::{ActionLock, Incoming, Lookup, Store, Tree, TreeFile};
