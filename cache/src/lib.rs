//! Digests, action keys and the store: what makes a second run do nothing.
//!
//! Read [`key`] for what decides an output, [`store`] for how outputs are kept, [`remote`] for how they are shared, and
//! [`file_index`] for how an unchanged source is known without reading it. [`verify`] finds what is damaged, [`gc`] removes
//! what nobody needs, and [`stats`] counts; each says what it found, and prints nothing.

mod digest;
mod error;
pub mod file_index;
pub mod gc;
mod hold;
mod inventory;
pub mod key;
mod record;
pub mod remote;
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
pub use store::{ActionLock, Incoming, Lookup, Store, Tree, TreeFile};
