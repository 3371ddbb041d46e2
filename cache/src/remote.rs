//! [`Remote`]: results shared through an object store or a folder. Start with [`Remote::pull`].
//!
//! ```text
//! v1/blobs/ab/cdef…        content of one file by its BLAKE3
//! v1/trees/ab/cdef….json   the files of one output
//! v1/actions/ab/cdef…      action key → fields of the key and record, behind their BLAKE3
//! ```
//!
//! An action is written after all that it names, and only if none is there: of two that push the same key, one wins and
//! the other does not mind. Blobs and trees are named by what they hold, so writing one twice does no harm.
//!
//! Nothing of a remote is believed before it is hashed. What can't be checked is that an action gave this output: who may
//! write to a remote is trusted with that.
//!
//! Inside, transfers are asynchronous; outside, every call blocks. The runtime is made when the remote is first asked.

mod error;
mod link;
mod pull;
mod push;
mod url;
mod wire;

pub use error::{Damage, RemoteError, Trouble};
pub use link::Environment;
pub use pull::{Pulled, PulledAll, Trust};
pub use push::{Pushed, Replace};
pub use url::{RemoteSetting, RemoteUrl, Scheme};

use crate::{ActionKey, CacheError, Fields, Store};
use futures_util::future::{Either, select};
use link::{Fault, Link};
use std::fmt;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Results that others have made, and a place for one's own. Several threads may use it at once.
pub struct Remote {
    url: RemoteUrl,
    environment: Environment,
    link: OnceLock<Result<Link, Trouble>>,
    /// Could not be used once, and is not asked again.
    given_up: AtomicBool,
    stop: watch::Sender<bool>,
}

/// How far a transfer of several actions is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Actions that are through.
    pub done: u64,
    /// Actions in all.
    pub total: u64,
    /// Content transferred so far.
    pub bytes: u64,
}

impl Remote {
    /// Returns the remote at `url`. It is reached when it is first asked, with the credentials in `environment`.
    pub fn new(url: RemoteUrl, environment: Environment) -> Self {
        let (stop, _) = watch::channel(false);
        Self { url, environment, link: OnceLock::new(), given_up: AtomicBool::new(false), stop }
    }

    /// Returns the remote at a URL that is still text.
    pub fn open(url: &str, environment: Environment) -> Result<Self, CacheError> {
        Ok(Self::new(url.parse()?, environment))
    }

    /// Returns where it is.
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// Fetches an action with all that it names into `store`, where its key is a hit from then on.
    ///
    /// Trouble with the remote is told by [`Pulled::Unreachable`] once; from then on it has nothing. The actions of an
    /// action's parts are not fetched.
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
            Err(Fault::Cache(error)) => Err(error),
            Err(fault @ Fault::Damage { .. }) => Ok(Pulled::Damaged(self.error(fault)?)),
            Err(fault @ Fault::Trouble(_)) if !self.given_up.swap(true, Ordering::Relaxed) => {
                Ok(Pulled::Unreachable(self.error(fault)?))
            }
            Ok(None) | Err(Fault::Stopped | Fault::Trouble(_)) => Ok(Pulled::Absent),
        }
    }

    /// Returns whether the first push will make the folder: then there is nothing in it yet.
    fn is_new_folder(&self) -> bool {
        self.url.folder().is_some_and(|folder| !folder.exists() && folder.parent().is_some_and(std::path::Path::is_dir))
    }

    /// Fetches every action that `store` lacks and whose fields are `wanted`. Damaged ones are counted and left out.
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
        let link = self.link().map_err(|fault| self.failed(fault))?;
        let pulled = self.wait(link, pull::all(link, store, wanted, trust, progress));
        let (pulled, damaged) = pulled.map_err(|fault| self.failed(fault))?;
        let damaged = damaged.into_iter().map(|fault| self.error(fault)).collect::<Result<_, _>>()?;
        Ok(PulledAll { damaged, ..pulled })
    }

    /// Sends actions with all that they name, and those of their parts. What is there is not sent again.
    ///
    /// # Errors
    /// If the remote can't be used, or something in `store` can't be read or is not what its name says.
    pub fn push(
        &self,
        store: &Store,
        keys: &[ActionKey],
        replace: Replace,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Pushed, CacheError> {
        if let Some(folder) = self.url.folder() {
            // Only the last step: above it may be the place of a file system that is not mounted.
            match fs_err::create_dir(folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    let kind = error.kind();
                    let absent = kind == ErrorKind::NotFound;
                    let trouble = if absent { Trouble::NoBucket } else { Trouble::File(kind.to_string()) };
                    return Err(self.failed(Fault::Trouble(trouble)));
                }
                _ => {}
            }
        }
        let link = self.link().map_err(|fault| self.failed(fault))?;
        self.wait(link, push::all(link, store, keys, replace, progress)).map_err(|fault| self.failed(fault))
    }

    /// Ends what is under way, and lets the remote have nothing from now on. For another thread, when the user stops.
    pub fn stop(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
    }

    fn link(&self) -> Result<&Link, Fault> {
        let link = self.link.get_or_init(|| Link::new(&self.url, &self.environment));
        link.as_ref().map_err(|trouble| Fault::Trouble(trouble.clone()))
    }

    /// Waits for `work`, or until someone calls [`Remote::stop`].
    fn wait<T>(&self, link: &Link, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let mut stop = self.stop.subscribe();
        link.runtime.block_on(async {
            let stopped = pin!(stop.wait_for(|stopped| *stopped));
            match select(pin!(work), stopped).await {
                Either::Left((done, _)) => done,
                Either::Right(_) => Err(Fault::Stopped),
            }
        })
    }

    /// Says what went wrong with the remote; what went wrong with the store is passed on.
    fn error(&self, fault: Fault) -> Result<RemoteError, CacheError> {
        let url = self.url.clone();
        match fault {
            Fault::Trouble(trouble) => Ok(RemoteError::Unreachable { url, trouble }),
            Fault::Damage { object, damage } => Ok(RemoteError::Damaged { url, object, damage }),
            Fault::Stopped => Ok(RemoteError::Stopped { url }),
            Fault::Cache(error) => Err(error),
        }
    }

    fn failed(&self, fault: Fault) -> CacheError {
        self.error(fault).map_or_else(|error| error, CacheError::Remote)
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
