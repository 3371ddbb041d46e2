//! Digests, action keys and the store: what makes a second run do nothing.
//!
//! Read [`key`] for what decides an output, [`store`] for how outputs are kept, [`remote`] for how they are shared, and
//! [`file_index`] for how an unchanged source is known without reading it.

mod digest;
mod error;
pub mod file_index;
pub mod key;
pub mod remote;
pub mod store;

pub use digest::{ActionKey, Digest};
pub use error::CacheError;
pub use file_index::{FileIndex, Fingerprint};
pub use key::{Field, Fields};
pub use remote::{Remote, RemoteError, RemoteSetting, RemoteUrl};
pub use store::{ActionLock, ActionRecord, Incoming, Lookup, OutputRecord, Store, Tree, TreeFile};
