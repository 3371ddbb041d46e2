//! Downloads results: the action, its tree, and the blobs that are missing in the store. All are verified before the result is recorded.

use super::error::ObjectError;
use super::link::{Link, TransferError};
use super::wire::{self, Action, MAX_BYTES};
use super::{Progress, RemoteError, object};
use crate::store::{Lookup, SYNC_EACH_UP_TO};
use crate::{ActionKey, ActionRecord, Digest, Fields, Store, Tree};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use std::collections::BTreeMap;

/// Returns whether the ports of a record match its tree. Provided by the caller, because a store does not know the contracts of stages.
pub type Trust<'a> = &'a dyn Fn(&Fields, &ActionRecord, &Tree) -> bool;

/// Maximum number of actions to fetch at once; each may have a large tree.
const ACTIONS_AT_ONCE: usize = 4;
/// Maximum number of blobs of an action to fetch at once.
const BLOBS_AT_ONCE: usize = 16;

/// The result of pulling a key.
#[derive(Debug)]
pub enum Pulled {
    /// The action was fetched, and is now a hit in the store.
    Got {
        /// The record of the action.
        record: Box<ActionRecord>,
        /// Bytes of content that were fetched, without what was already in the store.
        bytes: u64,
    },
    /// The remote does not have the action.
    Absent,
    /// The remote has damaged data for the key. Warn the user, and run the action.
    Damaged(RemoteError),
    /// The remote can't be used. Warn the user; this is returned only once per remote.
    Unreachable(RemoteError),
}

/// The result of pulling all actions.
#[derive(Debug, Default)]
pub struct PulledAll {
    /// Number of actions that were fetched.
    pub actions: u64,
    /// Number of actions that were already in the store.
    pub had: u64,
    /// Number of actions that were not wanted.
    pub unwanted: u64,
    /// Bytes of content that were fetched.
    pub bytes: u64,
    /// One error for each action with damaged data.
    pub damaged: Vec<RemoteError>,
}

/// Fetches one action.
pub(super) async fn action(
    link: &Link,
    store: &Store,
    key: ActionKey,
    trust: Trust<'_>,
) -> Result<Option<Pulled>, TransferError> {
    let Some(action) = read_action(link, key).await? else { return Ok(None) };
    take(link, store, key, action, trust).await.map(Some)
}

/// Fetches all wanted actions. Also returns the damage that was found.
pub(super) async fn all(
    link: &Link,
    store: &Store,
    wanted: &dyn Fn(&Fields) -> bool,
    trust: Trust<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(PulledAll, Vec<TransferError>), TransferError> {
    let objects = link.list("v1/actions").await?;
    let keys: Vec<ActionKey> = objects.iter().filter_map(|object| key_of(object)).collect();
    let one = async |key: ActionKey| -> Result<One, TransferError> {
        if matches!(store.find(key), Lookup::Hit(_)) {
            return Ok(One::Had);
        }
        let Some(action) = read_action(link, key).await? else { return Ok(One::Unwanted) };
        if !wanted(&action.fields) {
            return Ok(One::Unwanted);
        }
        match take(link, store, key, action, trust).await? {
            Pulled::Got { bytes, .. } => Ok(One::Got(bytes)),
            _ => Ok(One::Unwanted),
        }
    };
    let (mut pulled, mut damaged) = (PulledAll::default(), Vec::new());
    let total = keys.len() as u64;
    let mut results = stream::iter(keys).map(one).buffer_unordered(ACTIONS_AT_ONCE);
    let mut done = 0;
    while let Some(result) = results.next().await {
        match result {
            Ok(One::Got(bytes)) => {
                pulled.actions += 1;
                pulled.bytes += bytes;
            }
            Ok(One::Had) => pulled.had += 1,
            Ok(One::Unwanted) => pulled.unwanted += 1,
            Err(damage @ TransferError::Object { .. }) => damaged.push(damage),
            Err(error) => return Err(error),
        }
        done += 1;
        progress(Progress { done, total, bytes: pulled.bytes });
    }
    Ok((pulled, damaged))
}

/// The result for one of many actions.
enum One {
    Got(u64),
    Had,
    Unwanted,
}

fn key_of(object: &str) -> Option<ActionKey> {
    let (first, rest) = object.strip_prefix("v1/actions/")?.split_once('/')?;
    (first.len() == 2).then(|| format!("{first}{rest}").parse().ok())?
}

async fn read_action(link: &Link, key: ActionKey) -> Result<Option<Action>, TransferError> {
    let name = object("actions", key, "");
    let Some(bytes) = link.read(&name, MAX_BYTES).await? else { return Ok(None) };
    let action = Action::from_bytes(&bytes, key).map_err(|error| TransferError::Object { object: name, error })?;
    Ok(Some(action))
}

/// Fetches the objects of an action that belongs to its key, and records it.
async fn take(
    link: &Link,
    store: &Store,
    key: ActionKey,
    action: Action,
    trust: Trust<'_>,
) -> Result<Pulled, TransferError> {
    let Action { fields, mut record } = action;
    let tree = read_tree(link, store, record.output.tree).await?;
    if !trust(&fields, &record, &tree) {
        return Err(TransferError::Object { object: object("actions", key, ""), error: ObjectError::Ports });
    }
    let mut bytes = fetch_missing(link, store, &tree).await?;
    store.insert_tree(&tree)?;
    if let Some(state) = record.state.as_mut().filter(|state| state.kept) {
        match take_state(link, store, state.tree).await {
            Ok(fetched) => bytes += fetched,
            // The result is usable without it: a later link starts from an earlier state.
            Err(TransferError::Object { .. }) => state.kept = false,
            Err(error) => return Err(error),
        }
    }
    store.record(key, &fields, &record)?;
    Ok(Pulled::Got { record: Box::new(record), bytes })
}

/// Fetches the state of a link. Returns the number of bytes fetched.
async fn take_state(link: &Link, store: &Store, digest: Digest) -> Result<u64, TransferError> {
    let tree = read_tree(link, store, digest).await?;
    let bytes = fetch_missing(link, store, &tree).await?;
    store.insert_tree(&tree)?;
    Ok(bytes)
}

async fn read_tree(link: &Link, store: &Store, digest: Digest) -> Result<Tree, TransferError> {
    if let Ok(tree) = store.tree(digest)
        && tree.digest() == digest
    {
        return Ok(tree);
    }
    let name = object("trees", digest, ".json");
    let damaged = |error| TransferError::Object { object: name.clone(), error };
    let bytes = link.read(&name, MAX_BYTES).await?.ok_or_else(|| damaged(ObjectError::Absent))?;
    wire::tree_from_bytes(&bytes, digest).map_err(damaged)
}

/// Fetches the blobs of `tree` that are missing in the store. Returns the number of bytes fetched.
async fn fetch_missing(link: &Link, store: &Store, tree: &Tree) -> Result<u64, TransferError> {
    let mut missing: BTreeMap<Digest, u64> = BTreeMap::new();
    for file in &tree.files {
        let before = missing.insert(file.digest, file.size_bytes);
        if before.is_some_and(|size_bytes| size_bytes != file.size_bytes) {
            let object = object("trees", tree.digest(), ".json");
            return Err(TransferError::Object { object, error: ObjectError::Format });
        }
    }
    missing.retain(|digest, size_bytes| !store.has_blob(*digest, *size_bytes));
    let declared = missing.values().fold(0u64, |sum, size_bytes| sum.saturating_add(*size_bytes));
    let free = store.free_bytes()?;
    if declared > free {
        let object = object("trees", tree.digest(), ".json");
        return Err(TransferError::Object { object, error: ObjectError::TooLarge { limit_bytes: free } });
    }
    let sync_each = missing.len() <= SYNC_EACH_UP_TO;
    let fetches = missing.into_iter().map(|(digest, size_bytes)| fetch(link, store, digest, size_bytes, sync_each));
    let mut fetches = stream::iter(fetches).buffer_unordered(BLOBS_AT_ONCE);
    while fetches.try_next().await?.is_some() {}
    if !sync_each {
        store.sync()?;
    }
    Ok(declared)
}

/// Fetches one blob. Discards it if its size or digest is wrong.
async fn fetch(link: &Link, store: &Store, digest: Digest, size_bytes: u64, sync: bool) -> Result<(), TransferError> {
    let name = object("blobs", digest, "");
    let damaged = |error| TransferError::Object { object: name.clone(), error };
    let wrong_size = |found_bytes| damaged(ObjectError::Size { expected_bytes: size_bytes, found_bytes });
    let _permit = link.permits.acquire().await;
    let got = match link.content.get(&link.path(&name)).await {
        Err(object_store::Error::NotFound { .. }) => return Err(damaged(ObjectError::Absent)),
        other => other.map_err(|error| link.failure(&error))?,
    };
    if got.meta.size != size_bytes {
        return Err(wrong_size(got.meta.size));
    }
    let (mut incoming, mut chunks) = (store.receive()?, got.into_stream());
    while let Some(chunk) = chunks.try_next().await.map_err(|error| link.failure(&error))? {
        incoming.write(&chunk)?;
        if incoming.size_bytes() > size_bytes {
            return Err(wrong_size(incoming.size_bytes()));
        }
    }
    if incoming.size_bytes() != size_bytes {
        return Err(wrong_size(incoming.size_bytes()));
    }
    if incoming.digest() != digest {
        return Err(damaged(ObjectError::Digest));
    }
    let store = store.clone();
    // Waiting for the disk must not block other transfers.
    let kept = tokio::task::spawn_blocking(move || store.keep(incoming, sync)).await;
    kept.map_err(|error| std::io::Error::other(error).into()).and_then(|kept| kept)?;
    Ok(())
}
