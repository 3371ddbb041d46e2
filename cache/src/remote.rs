//! [`Remote`]: results shared through an object store or a folder. Start with [`Remote::pull`].
//!
//! ```text
//! v1/blobs/ab/cdef…        content of one file by its BLAKE3
//! v1/trees/ab/cdef….json   the files of one output
//! v1/actions/ab/cdef…      action key → fields of the key, and record, after their BLAKE3
//! ```
//!
//! An action is written after the objects it needs, and only if it does not exist: if two processes push the same key, one wins, and
//! the other continues. Blobs and trees are named by their content, so writing one twice does no harm.
//!
//! Nothing is used until its digest is verified. Whether an action really produced this output can't be verified: everyone who may
//! write to a remote is trusted with that.
//!
//! Transfers are asynchronous internally, but every public method blocks. The async runtime is created for the first request.

mod error;
mod link;
mod pull;
mod push;
mod url;
mod wire;

pub use error::{ObjectError, RemoteError, RemoteFailure};
pub use link::Environment;
pub use pull::{Pulled, PulledAll, Trust};
pub use push::{PushOptions, Pushed, Replace};
pub use url::{RemoteSetting, RemoteUrl, Scheme, UrlError};

use crate::{ActionKey, CacheError, Fields, Store};
use futures_util::future::{Either, select};
use link::{Link, TransferError};
use std::fmt;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// A remote: downloads the results of others, and uploads results for them. Several threads may use it at once.
pub struct Remote {
    url: RemoteUrl,
    environment: Environment,
    link: OnceLock<Result<Link, RemoteFailure>>,
    /// Set after the first failure: no further requests are made.
    given_up: AtomicBool,
    stop: watch::Sender<bool>,
}

/// The progress of a transfer of several actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of actions that are complete.
    pub done: u64,
    /// Number of all actions.
    pub total: u64,
    /// Bytes of content transferred so far.
    pub bytes: u64,
}

impl Remote {
    /// Returns the remote at `url`, with the credentials in `environment`. Connects for the first request.
    pub fn new(url: RemoteUrl, environment: Environment) -> Self {
        let (stop, _) = watch::channel(false);
        Self { url, environment, link: OnceLock::new(), given_up: AtomicBool::new(false), stop }
    }

    /// Parses `url` and returns the remote.
    pub fn open(url: &str, environment: Environment) -> Result<Self, CacheError> {
        let url = url.parse().map_err(RemoteError::Url)?;
        Ok(Self::new(url, environment))
    }

    /// Returns where the remote is.
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// Fetches an action and its objects into `store`, where the key is a hit from then on. Does not fetch the actions of its parts.
    ///
    /// The first failure of the remote returns [`Pulled::Unreachable`]; all later calls return [`Pulled::Absent`].
    ///
    /// # Errors
    /// If `store` can't be written.
    pub fn pull(&self, store: &Store, key: ActionKey, trust: Trust<'_>) -> Result<Pulled, CacheError> {
        if self.given_up.load(Ordering::Relaxed) || self.is_new_folder() {
            return Ok(Pulled::Absent);
        }
        let pulled = self.link().and_then(|link| self.wait(link, pull::action(link, store, key, trust)));
        match pulled {
            Ok(Some(got)) => Ok(got),
            Err(TransferError::Cache(error)) => Err(error),
            Err(error @ TransferError::Object { .. }) => Ok(Pulled::Damaged(self.remote_error(error)?)),
            Err(error @ TransferError::Remote(_)) if !self.given_up.swap(true, Ordering::Relaxed) => {
                Ok(Pulled::Unreachable(self.remote_error(error)?))
            }
            Ok(None) | Err(TransferError::Stopped | TransferError::Remote(_)) => Ok(Pulled::Absent),
        }
    }

    /// Returns whether the remote is a folder that does not exist yet, and that the first push will create.
    fn is_new_folder(&self) -> bool {
        self.url.folder().is_some_and(|folder| !folder.exists() && folder.parent().is_some_and(std::path::Path::is_dir))
    }

    /// Fetches all actions that are missing in `store` and whose fields are `wanted`. Skips and reports damaged ones.
    ///
    /// # Errors
    /// If the remote can't be used, or `store` can't be written.
    pub fn pull_all(
        &self,
        store: &Store,
        wanted: &dyn Fn(&Fields) -> bool,
        trust: Trust<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PulledAll, CacheError> {
        let link = self.link().map_err(|error| self.failed(error))?;
        let pulled = self.wait(link, pull::all(link, store, wanted, trust, progress));
        let (pulled, damaged) = pulled.map_err(|error| self.failed(error))?;
        let damaged = damaged.into_iter().map(|error| self.remote_error(error)).collect::<Result<_, _>>()?;
        Ok(PulledAll { damaged, ..pulled })
    }

    /// Uploads actions with their objects, and the actions of their parts. Without states, other machines have the results and their parts,
    /// but have to make the parts again to continue from them. Does not upload what already exists.
    ///
    /// # Errors
    /// If the remote can't be used, or an object in `store` is damaged or can't be read.
    pub fn push(
        &self,
        store: &Store,
        keys: &[ActionKey],
        options: PushOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Pushed, CacheError> {
        if let Some(folder) = self.url.folder() {
            // Only the last folder is created: its parent may be the mount point of a file system that is not mounted.
            match fs_err::create_dir(folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    let kind = error.kind();
                    let absent = kind == ErrorKind::NotFound;
                    let failure = if absent { RemoteFailure::NoBucket } else { RemoteFailure::File(kind.to_string()) };
                    return Err(self.failed(TransferError::Remote(failure)));
                }
                _ => {}
            }
        }
        let link = self.link().map_err(|error| self.failed(error))?;
        self.wait(link, push::all(link, store, keys, options, progress)).map_err(|error| self.failed(error))
    }

    /// Cancels running transfers, and makes no further requests. Called by another thread when the user stops.
    pub fn stop(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
    }

    fn link(&self) -> Result<&Link, TransferError> {
        let link = self.link.get_or_init(|| Link::new(&self.url, &self.environment));
        link.as_ref().map_err(|failure| TransferError::Remote(failure.clone()))
    }

    /// Waits for `work`, or until [`Remote::stop`] is called.
    fn wait<T>(&self, link: &Link, work: impl Future<Output = Result<T, TransferError>>) -> Result<T, TransferError> {
        let mut stop = self.stop.subscribe();
        link.runtime.block_on(async {
            let stopped = pin!(stop.wait_for(|stopped| *stopped));
            match select(pin!(work), stopped).await {
                Either::Left((done, _)) => done,
                Either::Right(_) => Err(TransferError::Stopped),
            }
        })
    }

    /// Returns the error of the remote; an error of the store is returned as `Err`.
    fn remote_error(&self, error: TransferError) -> Result<RemoteError, CacheError> {
        let url = self.url.clone();
        match error {
            TransferError::Remote(failure) => Ok(RemoteError::Unreachable { url, failure }),
            TransferError::Object { object, error } => Ok(RemoteError::Damaged { url, object, error }),
            TransferError::Stopped => Ok(RemoteError::Stopped { url }),
            TransferError::Cache(error) => Err(error),
        }
    }

    fn failed(&self, error: TransferError) -> CacheError {
        self.remote_error(error).map_or_else(|error| error, CacheError::Remote)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Returns the name of an object: `v1/blobs/ab/cdef…`.
fn object(kind: &str, id: impl fmt::Display, extension: &str) -> String {
    let hex = id.to_string();
    let (first, rest) = hex.split_at(2);
    format!("v1/{kind}/{first}/{rest}{extension}")
}
