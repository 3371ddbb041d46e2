//! Uploads results: first the blobs, then the tree, then the action, which makes them a result.

use super::error::ObjectError;
use super::link::{Link, PART_BYTES, TransferError};
use super::wire::Action;
use super::{Progress, object};
use crate::store::Lookup;
use crate::{ActionKey, CacheError, Digest, Store, Tree};
use fs_err as fs;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// Maximum number of actions to upload at once.
const ACTIONS_AT_ONCE: usize = 8;
/// Maximum number of blobs of an action to look up at once.
const BLOBS_AT_ONCE: usize = 16;
/// Maximum number of parts of an upload; object stores allow 10,000.
const MAX_PARTS: u64 = 9_000;

/// What to do with objects that already exist on the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Keep them if they have the right size.
    Never,
    /// Overwrite them, to repair a remote with damaged data.
    Always,
}

/// What a push sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushOptions {
    /// What to do with objects that already exist on the remote.
    pub replace: Replace,
    /// Whether to send the kept states of training, from which others can continue. They are larger than the results.
    pub states: bool,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self { replace: Replace::Never, states: false }
    }
}

/// The result of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Number of actions that were uploaded.
    pub actions: u64,
    /// Number of actions that already existed on the remote.
    pub had: u64,
    /// Number of actions that are missing or incomplete in the store.
    pub absent: u64,
    /// Number of blobs that were uploaded.
    pub blobs: u64,
    /// Total size of these blobs.
    pub bytes: u64,
}

/// The state of a push.
struct Push<'a> {
    link: &'a Link,
    store: &'a Store,
    options: PushOptions,
    /// Blobs that are known to exist on the remote.
    uploaded: Mutex<BTreeSet<Digest>>,
}

/// Uploads actions, after the actions of their parts.
pub(super) async fn all(
    link: &Link,
    store: &Store,
    keys: &[ActionKey],
    options: PushOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pushed, TransferError> {
    let mut pushed = Pushed::default();
    let (mut wholes, mut parts) = (BTreeMap::new(), BTreeMap::new());
    for key in keys.iter().copied().collect::<BTreeSet<_>>() {
        match whole(store, key, options)? {
            Some(action) => {
                for part in action.record.parts.values() {
                    // A part that was deleted from the store is not needed: the whole contains its content.
                    parts.extend(whole(store, *part, options)?.map(|action| (*part, action)));
                }
                wholes.insert(key, action);
            }
            None => pushed.absent += 1,
        }
    }
    parts.retain(|key, _| !wholes.contains_key(key));
    let push = Push { link, store, options, uploaded: Mutex::default() };
    let (mut done, total) = (0, (parts.len() + wholes.len()) as u64);
    for actions in [parts, wholes] {
        let sending = stream::iter(actions).map(async |(key, action)| push.action(key, &action).await);
        let mut sending = sending.buffer_unordered(ACTIONS_AT_ONCE);
        while let Some(sent) = sending.try_next().await? {
            pushed.actions += u64::from(sent.new);
            pushed.had += u64::from(!sent.new);
            pushed.blobs += sent.blobs;
            pushed.bytes += sent.bytes;
            done += 1;
            progress(Progress { done, total, bytes: pushed.bytes });
        }
    }
    Ok(pushed)
}

/// Returns an action with its fields, if it is complete in the store. Its state counts as kept only if it is to be sent.
fn whole(store: &Store, key: ActionKey, options: PushOptions) -> Result<Option<Action>, CacheError> {
    let Lookup::Hit(mut record) = store.find(key) else { return Ok(None) };
    let has_state = options.states && store.has_state(&record);
    if let Some(state) = &mut record.state {
        state.kept = has_state;
    }
    let fields = store.fields(key)?.filter(|fields| fields.key() == key);
    Ok(fields.map(|fields| Action { fields, record: *record }))
}

struct Sent {
    new: bool,
    blobs: u64,
    bytes: u64,
}

impl Push<'_> {
    async fn action(&self, key: ActionKey, action: &Action) -> Result<Sent, TransferError> {
        let mut sent = Sent { new: false, blobs: 0, bytes: 0 };
        for tree in action.record.trees() {
            self.tree(tree, &mut sent).await?;
        }
        sent.new = self.record(key, action).await?;
        Ok(sent)
    }

    /// Uploads the blobs of a tree, then its list.
    async fn tree(&self, digest: Digest, sent: &mut Sent) -> Result<(), TransferError> {
        let tree = self.store.tree(digest)?;
        let blobs: BTreeSet<(Digest, u64)> = tree.files.iter().map(|file| (file.digest, file.size_bytes)).collect();
        let sending = stream::iter(blobs).map(async |(digest, size_bytes)| self.blob(digest, size_bytes).await);
        let mut sending = sending.buffer_unordered(BLOBS_AT_ONCE);
        while let Some(bytes) = sending.try_next().await? {
            sent.blobs += u64::from(bytes.is_some());
            sent.bytes += bytes.unwrap_or(0);
        }
        self.list(digest, &tree).await
    }

    /// Uploads a blob, unless it exists. Returns the number of bytes uploaded.
    async fn blob(&self, digest: Digest, size_bytes: u64) -> Result<Option<u64>, TransferError> {
        if self.uploaded.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return Ok(None);
        }
        let name = object("blobs", digest, "");
        let exists = self.options.replace == Replace::Never && self.link.size(&name).await? == Some(size_bytes);
        if !exists {
            let path = self.link.path(&name);
            if size_bytes <= PART_BYTES {
                self.small_blob(&path, digest).await?;
            } else {
                self.large_blob(&path, digest, size_bytes).await?;
            }
        }
        self.uploaded.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        Ok((!exists).then_some(size_bytes))
    }

    async fn small_blob(&self, path: &Path, digest: Digest) -> Result<(), TransferError> {
        let _permit = self.link.permits.acquire().await;
        let file = self.store.blob(digest);
        let read = move || -> Result<Vec<u8>, CacheError> {
            let bytes = fs::read(file)?;
            if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(CacheError::Damaged { digest }) }
        };
        let bytes = blocking(read).await?;
        self.link.content.put(path, bytes.into()).await.map_err(|error| self.link.failure(&error))?;
        Ok(())
    }

    /// Uploads a blob in parts. It becomes visible as a whole, and only if its content has the digest of its name.
    async fn large_blob(&self, path: &Path, digest: Digest, size_bytes: u64) -> Result<(), TransferError> {
        let mut upload = self.link.content.put_multipart(path).await.map_err(|error| self.link.failure(&error))?;
        let sent = self.parts(&mut *upload, digest, size_bytes).await;
        let done = match sent {
            Ok(()) => upload.complete().await.map(|_| ()).map_err(|error| self.link.failure(&error)),
            Err(error) => Err(error),
        };
        if done.is_err() {
            // If this fails, the server deletes the parts by its own rules.
            let _ = upload.abort().await;
        }
        done
    }

    async fn parts(
        &self,
        upload: &mut dyn MultipartUpload,
        digest: Digest,
        size_bytes: u64,
    ) -> Result<(), TransferError> {
        let part_bytes = PART_BYTES.max(size_bytes.div_ceil(MAX_PARTS));
        let mut file = fs::File::open(self.store.blob(digest)).map_err(CacheError::from)?;
        let (mut hasher, mut parts) = (blake3::Hasher::new(), JoinSet::new());
        loop {
            // Held from before the part is read until it is uploaded: this limits the number of parts in memory.
            let permit = Arc::clone(&self.link.permits).acquire_owned().await;
            let read = move || -> Result<_, CacheError> {
                let mut bytes = Vec::with_capacity(part_bytes as usize);
                file.by_ref().take(part_bytes).read_to_end(&mut bytes)?;
                hasher.update(&bytes);
                Ok((bytes, file, hasher))
            };
            let bytes;
            (bytes, file, hasher) = blocking(read).await?;
            if bytes.is_empty() {
                break;
            }
            let part = upload.put_part(PutPayload::from(bytes));
            parts.spawn(async move {
                let sent = part.await;
                drop(permit);
                sent
            });
            while let Some(sent) = parts.try_join_next() {
                self.check_sent(sent)?;
            }
        }
        while let Some(sent) = parts.join_next().await {
            self.check_sent(sent)?;
        }
        if Digest::from(hasher.finalize()) == digest { Ok(()) } else { Err(CacheError::Damaged { digest }.into()) }
    }

    fn check_sent(&self, sent: Result<object_store::Result<()>, tokio::task::JoinError>) -> Result<(), TransferError> {
        sent.map_err(object_store::Error::from).flatten().map_err(|error| self.link.failure(&error))
    }

    async fn list(&self, digest: Digest, tree: &Tree) -> Result<(), TransferError> {
        let name = object("trees", digest, ".json");
        let bytes = json(serde_json::to_vec(tree), &name)?;
        if self.options.replace == Replace::Always || self.link.size(&name).await? != Some(bytes.len() as u64) {
            let _permit = self.link.permits.acquire().await;
            let put = self.link.content.put(&self.link.path(&name), bytes.into()).await;
            put.map_err(|error| self.link.failure(&error))?;
        }
        Ok(())
    }

    /// Creates the action. Returns false if it already exists.
    async fn record(&self, key: ActionKey, action: &Action) -> Result<bool, TransferError> {
        let name = object("actions", key, "");
        let payload = PutPayload::from(json(action.to_bytes(), &name)?);
        let path = self.link.path(&name);
        // An action that was sent without its state is replaced by one with it. They differ in length.
        let has_state = action.record.state.is_some_and(|state| state.kept);
        let size = self.link.size(&name).await?;
        let exists = if has_state { size == Some(payload.content_length() as u64) } else { size.is_some() };
        if self.options.replace == Replace::Never && exists {
            return Ok(false);
        }
        let _permit = self.link.permits.acquire().await;
        let overwrites = has_state || self.options.replace == Replace::Always;
        let mode = if overwrites { PutMode::Overwrite } else { PutMode::Create };
        let put = self.link.content.put_opts(&path, payload.clone(), PutOptions::from(mode)).await;
        let put = match put {
            // The server does not support conditional writes: of two racing pushes, the later one wins.
            Err(object_store::Error::NotImplemented { .. }) => self.link.content.put(&path, payload).await,
            other => other,
        };
        match put {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.link.failure(&error)),
        }
    }
}

fn json(bytes: Result<Vec<u8>, serde_json::Error>, name: &str) -> Result<Vec<u8>, TransferError> {
    bytes.map_err(|_| TransferError::Object { object: name.to_owned(), error: ObjectError::Format })
}

/// Runs disk or CPU work without blocking transfers.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
