//! [`Link`]: the connection to a remote, made when it is first asked; a run that asks nothing pays for nothing.

use super::error::{Damage, Trouble};
use super::url::{RemoteUrl, Scheme};
use crate::CacheError;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Transfers at once; each holds at most [`PART_BYTES`] in memory.
pub(super) const TRANSFERS: usize = 16;
/// What is larger is uploaded in parts of this size.
pub(super) const PART_BYTES: u64 = 8 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For what is small: is it there, what does it say.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// For content: how long nothing may come. An upload's answer comes when all of its part is through.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);
const MAX_RETRIES: usize = 2;
/// After so long, a request that fails is not tried again.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// The variables of the process's environment that say how to reach a remote. They are never shown.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl FromIterator<(OsString, OsString)> for Environment {
    /// Keeps what an object store's client reads: `AWS_…`, `AZURE_…`, `GOOGLE_…` and a few more.
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let known = |name: &str| {
            let prefixes = ["AWS_", "AZURE_", "GOOGLE_"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
                || ["SERVICE_ACCOUNT", IDENTITY_ENDPOINT].contains(&name)
        };
        Self(variables.into_iter().filter_map(text).filter(|(name, _)| known(name)).collect())
    }
}

/// Where Azure's managed identities are asked for.
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.keys()).finish()
    }
}

impl Environment {
    fn with_prefix(&self, prefix: &'static str) -> impl Iterator<Item = (String, &String)> {
        let named = self.0.iter().filter(move |(name, _)| name.starts_with(prefix));
        named.map(|(name, value)| (name.to_ascii_lowercase(), value))
    }

    /// Returns the variable whose absence may explain that a remote can't be used.
    fn hint(&self, scheme: Scheme) -> Option<&'static str> {
        let variable = match scheme {
            Scheme::S3 => "AWS_ACCESS_KEY_ID",
            Scheme::Gs => "GOOGLE_SERVICE_ACCOUNT",
            Scheme::Az => "AZURE_STORAGE_ACCOUNT_KEY",
            Scheme::File => return None,
        };
        (!self.0.contains_key(variable)).then_some(variable)
    }

    /// Returns `text`, or a word that it can't be shown.
    fn without_secrets(&self, text: String) -> String {
        let shown = self.0.values().any(|value| value.len() >= 6 && text.contains(value.as_str()));
        if shown { "the environment holds a value that does not fit".to_owned() } else { text }
    }
}

/// A connection.
pub(super) struct Link {
    pub(super) runtime: Runtime,
    /// For what is small; gives up soon.
    asks: Arc<dyn ObjectStore>,
    /// For content.
    pub(super) moves: Arc<dyn ObjectStore>,
    prefix: Path,
    pub(super) permits: Arc<Semaphore>,
    hint: Option<&'static str>,
}

/// Why something that was to be fetched or sent was not.
#[derive(Debug)]
pub(super) enum Fault {
    /// The remote can't be used.
    Trouble(Trouble),
    /// One object can't be used.
    Damage { object: String, damage: Damage },
    /// The local store failed.
    Cache(CacheError),
    /// The user does not want to wait for it any more.
    Stopped,
}

impl From<CacheError> for Fault {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

impl Link {
    pub(super) fn new(url: &RemoteUrl, environment: &Environment) -> Result<Self, Trouble> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).thread_name("remote").enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::File(error.to_string()))?;
        // Where another part of the process has set one, that is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asks = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(ASK_TIMEOUT);
        let moves = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout_disabled();
        let moves = moves.with_read_timeout(STALL_TIMEOUT);
        let prefix = Path::parse(url.prefix()).map_err(|error| Trouble::Settings(error.to_string()))?;
        Ok(Self {
            runtime,
            asks: client(url, environment, asks)?,
            moves: client(url, environment, moves)?,
            prefix,
            permits: Arc::new(Semaphore::new(TRANSFERS)),
            hint: environment.hint(url.scheme()),
        })
    }

    /// Returns the full name of an object such as `v1/blobs/ab/cdef…`.
    pub(super) fn path(&self, object: &str) -> Path {
        object.split('/').fold(self.prefix.clone(), Path::join)
    }

    pub(super) fn trouble(&self, error: &object_store::Error) -> Fault {
        Fault::Trouble(Trouble::of(error, self.hint))
    }

    /// Returns an object's size, if it is there.
    pub(super) async fn size(&self, object: &str) -> Result<Option<u64>, Fault> {
        let _permit = self.permits.acquire().await;
        match self.asks.head(&self.path(object)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// Returns an object's bytes, if it is there.
    pub(super) async fn read(&self, object: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, Fault> {
        let _permit = self.permits.acquire().await;
        let too_large = || Fault::Damage { object: object.to_owned(), damage: Damage::TooLarge { limit_bytes } };
        let got = match self.asks.get(&self.path(object)).await {
            Ok(got) => got,
            Err(error) => {
                let absent = matches!(error, object_store::Error::NotFound { .. });
                return match self.trouble(&error) {
                    Fault::Trouble(Trouble::NoBucket) => Err(Fault::Trouble(Trouble::NoBucket)),
                    _ if absent => Ok(None),
                    fault => Err(fault),
                };
            }
        };
        if got.meta.size > limit_bytes {
            return Err(too_large());
        }
        let (mut bytes, mut stream) = (Vec::with_capacity(got.meta.size as usize), got.into_stream());
        while let Some(chunk) = stream.try_next().await.map_err(|error| self.trouble(&error))? {
            if (bytes.len() + chunk.len()) as u64 > limit_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// Returns the names of all objects below a folder such as `v1/actions`, without the prefix.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, Fault> {
        let objects = self.asks.list(Some(&self.path(folder)));
        let objects: Vec<_> = objects.try_collect().await.map_err(|error| self.trouble(&error))?;
        let name = |meta: &object_store::ObjectMeta| {
            let steps: Vec<_> =
                meta.location.prefix_match(&self.prefix)?.map(|step| step.as_ref().to_owned()).collect();
            Some(steps.join("/"))
        };
        Ok(objects.iter().filter_map(name).collect())
    }
}

fn client(url: &RemoteUrl, environment: &Environment, options: ClientOptions) -> Result<Arc<dyn ObjectStore>, Trouble> {
    let settings = |error: object_store::Error| Trouble::Settings(environment.without_secrets(error.to_string()));
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: RETRY_FOR };
    let bucket = url.bucket();
    // Options that the environment sets come last: they are the user's.
    Ok(match url.scheme() {
        Scheme::S3 => {
            let mut builder = AmazonS3Builder::new().with_client_options(options).with_retry(retry);
            for (name, value) in environment.with_prefix("AWS_") {
                if let Ok(name) = name.parse() {
                    builder = builder.with_config(name, value);
                }
            }
            Arc::new(builder.with_bucket_name(bucket).build().map_err(settings)?)
        }
        Scheme::Gs => {
            let mut builder = GoogleCloudStorageBuilder::new().with_client_options(options).with_retry(retry);
            if let Some(path) = environment.0.get("SERVICE_ACCOUNT") {
                builder = builder.with_service_account_path(path);
            }
            for (name, value) in environment.with_prefix("GOOGLE_") {
                if let Ok(name) = name.parse() {
                    builder = builder.with_config(name, value);
                }
            }
            Arc::new(builder.with_bucket_name(bucket).build().map_err(settings)?)
        }
        Scheme::Az => {
            let mut builder = MicrosoftAzureBuilder::new().with_client_options(options).with_retry(retry);
            for (name, value) in environment.with_prefix("AZURE_") {
                if let Ok(name) = name.parse() {
                    builder = builder.with_config(name, value);
                }
            }
            if let Some(endpoint) = environment.0.get(IDENTITY_ENDPOINT) {
                builder = builder.with_msi_endpoint(endpoint);
            }
            Arc::new(builder.with_container_name(bucket).build().map_err(settings)?)
        }
        Scheme::File => {
            let folder = url.folder().unwrap_or(std::path::Path::new("/"));
            if !folder.is_dir() {
                return Err(Trouble::NoBucket);
            }
            Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(settings)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_keeps_what_is_needed_and_never_shows_a_value() {
        let variables = [("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"), ("PATH", "/bin"), ("GOOGLE_BUCKET", "b")];
        let environment: Environment = variables.map(|(name, value)| (name.into(), value.into())).into_iter().collect();
        let shown = format!("{environment:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hunter2") && !shown.contains("PATH"));
        assert!(!environment.without_secrets("bad value hunter2hunter2".into()).contains("hunter2"));
        assert_eq!(environment.without_secrets("no region".into()), "no region");
        assert_eq!(environment.hint(Scheme::S3), Some("AWS_ACCESS_KEY_ID"));
    }
}
