//! From a remote into a store: the action, its tree, the blobs that are missing; checked, then recorded.

use super::error::Damage;
use super::link::{Fault, Link};
use super::wire::{self, Action, MAX_BYTES};
use super::{Progress, RemoteError, object};
use crate::store::{Lookup, SYNC_EACH_UP_TO};
use crate::{ActionKey, ActionRecord, Digest, Fields, Store, Tree};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use std::collections::BTreeMap;

/// Says whether the ports of a record are those of its tree. The caller knows stages; a store does not.
pub type Trust<'a> = &'a dyn Fn(&Fields, &ActionRecord, &Tree) -> bool;

/// Actions that are fetched at once; each may hold a large tree.
const ACTIONS_AT_ONCE: usize = 4;
/// Blobs of an action that are asked for at once.
const BLOBS_AT_ONCE: usize = 16;

/// What a remote had for a key.
#[derive(Debug)]
pub enum Pulled {
    /// The action, which is a hit in the store now.
    Got {
        /// Its record.
        record: Box<ActionRecord>,
        /// Content that was fetched; what the store had already is not.
        bytes: u64,
    },
    /// Nothing.
    Absent,
    /// Something that can't be used. The user should be warned; the action must run.
    Damaged(RemoteError),
    /// Nothing can be known. The user should be warned; this is said once.
    Unreachable(RemoteError),
}

/// What came of fetching everything.
#[derive(Debug, Default)]
pub struct PulledAll {
    /// Actions that were fetched.
    pub actions: u64,
    /// Actions that the store had.
    pub had: u64,
    /// Actions that were not wanted.
    pub unwanted: u64,
    /// Content that was fetched.
    pub bytes: u64,
    /// What can't be used.
    pub damaged: Vec<RemoteError>,
}

/// Fetches one action.
pub(super) async fn action(
    link: &Link,
    store: &Store,
    key: ActionKey,
    trust: Trust<'_>,
) -> Result<Option<Pulled>, Fault> {
    let Some(action) = read_action(link, key).await? else { return Ok(None) };
    take(link, store, key, action, trust).await.map(Some)
}

/// Fetches all actions that are wanted; also returns the damage that was found.
pub(super) async fn all(
    link: &Link,
    store: &Store,
    wanted: &dyn Fn(&Fields) -> bool,
    trust: Trust<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(PulledAll, Vec<Fault>), Fault> {
    let objects = link.list("v1/actions").await?;
    let keys: Vec<ActionKey> = objects.iter().filter_map(|object| key_of(object)).collect();
    let one = async |key: ActionKey| -> Result<One, Fault> {
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
            Err(damage @ Fault::Damage { .. }) => damaged.push(damage),
            Err(fault) => return Err(fault),
        }
        done += 1;
        progress(Progress { done, total, bytes: pulled.bytes });
    }
    Ok((pulled, damaged))
}

/// What came of one action of many.
enum One {
    Got(u64),
    Had,
    Unwanted,
}

fn key_of(object: &str) -> Option<ActionKey> {
    let (first, rest) = object.strip_prefix("v1/actions/")?.split_once('/')?;
    (first.len() == 2).then(|| format!("{first}{rest}").parse().ok())?
}

async fn read_action(link: &Link, key: ActionKey) -> Result<Option<Action>, Fault> {
    let name = object("actions", key, "");
    let Some(bytes) = link.read(&name, MAX_BYTES).await? else { return Ok(None) };
    let action = Action::from_bytes(&bytes, key).map_err(|damage| Fault::Damage { object: name, damage })?;
    Ok(Some(action))
}

/// Takes over an action whose fields are those of its key.
async fn take(link: &Link, store: &Store, key: ActionKey, action: Action, trust: Trust<'_>) -> Result<Pulled, Fault> {
    let Action { fields, mut record } = action;
    let tree = read_tree(link, store, record.output.tree).await?;
    if !trust(&fields, &record, &tree) {
        return Err(Fault::Damage { object: object("actions", key, ""), damage: Damage::Ports });
    }
    let mut bytes = fetch_missing(link, store, &tree).await?;
    store.insert_tree(&tree)?;
    if let Some(state) = record.state.as_mut().filter(|state| state.kept) {
        match take_state(link, store, state.tree).await {
            Ok(fetched) => bytes += fetched,
            // The result is usable without it: a later link starts from an earlier state.
            Err(Fault::Damage { .. }) => state.kept = false,
            Err(fault) => return Err(fault),
        }
    }
    store.record(key, &fields, &record)?;
    Ok(Pulled::Got { record: Box::new(record), bytes })
}

/// Fetches the state of a link, and returns how many bytes that were.
async fn take_state(link: &Link, store: &Store, digest: Digest) -> Result<u64, Fault> {
    let tree = read_tree(link, store, digest).await?;
    let bytes = fetch_missing(link, store, &tree).await?;
    store.insert_tree(&tree)?;
    Ok(bytes)
}

async fn read_tree(link: &Link, store: &Store, digest: Digest) -> Result<Tree, Fault> {
    if let Ok(tree) = store.tree(digest)
        && tree.digest() == digest
    {
        return Ok(tree);
    }
    let name = object("trees", digest, ".json");
    let damaged = |damage| Fault::Damage { object: name.clone(), damage };
    let bytes = link.read(&name, MAX_BYTES).await?.ok_or_else(|| damaged(Damage::Absent))?;
    wire::tree_from_bytes(&bytes, digest).map_err(damaged)
}

/// Fetches the blobs of `tree` that the store lacks, and returns how many bytes that were.
async fn fetch_missing(link: &Link, store: &Store, tree: &Tree) -> Result<u64, Fault> {
    let mut missing: BTreeMap<Digest, u64> = BTreeMap::new();
    for file in &tree.files {
        let before = missing.insert(file.digest, file.size_bytes);
        if before.is_some_and(|size_bytes| size_bytes != file.size_bytes) {
            let object = object("trees", tree.digest(), ".json");
            return Err(Fault::Damage { object, damage: Damage::Format });
        }
    }
    missing.retain(|digest, size_bytes| !store.has_blob(*digest, *size_bytes));
    let declared = missing.values().fold(0u64, |sum, size_bytes| sum.saturating_add(*size_bytes));
    let free = store.free_bytes()?;
    if declared > free {
        let object = object("trees", tree.digest(), ".json");
        return Err(Fault::Damage { object, damage: Damage::TooLarge { limit_bytes: free } });
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

/// Fetches one blob. What is longer than it should be, or has another digest, is dropped.
async fn fetch(link: &Link, store: &Store, digest: Digest, size_bytes: u64, sync: bool) -> Result<(), Fault> {
    let name = object("blobs", digest, "");
    let damaged = |damage| Fault::Damage { object: name.clone(), damage };
    let wrong_size = |found_bytes| damaged(Damage::Size { expected_bytes: size_bytes, found_bytes });
    let _permit = link.permits.acquire().await;
    let got = match link.moves.get(&link.path(&name)).await {
        Err(object_store::Error::NotFound { .. }) => return Err(damaged(Damage::Absent)),
        other => other.map_err(|error| link.trouble(&error))?,
    };
    if got.meta.size != size_bytes {
        return Err(wrong_size(got.meta.size));
    }
    let (mut incoming, mut chunks) = (store.receive()?, got.into_stream());
    while let Some(chunk) = chunks.try_next().await.map_err(|error| link.trouble(&error))? {
        incoming.write(&chunk)?;
        if incoming.size_bytes() > size_bytes {
            return Err(wrong_size(incoming.size_bytes()));
        }
    }
    if incoming.size_bytes() != size_bytes {
        return Err(wrong_size(incoming.size_bytes()));
    }
    if incoming.digest() != digest {
        return Err(damaged(Damage::Digest));
    }
    let store = store.clone();
    // Waiting for the disk must not hold up the other transfers.
    let kept = tokio::task::spawn_blocking(move || store.keep(incoming, sync)).await;
    kept.map_err(|error| std::io::Error::other(error).into()).and_then(|kept| kept)?;
    Ok(())
}
