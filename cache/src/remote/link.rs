//! [`Link`]: the connection to a remote. It is made for the first request, so a run without requests costs nothing.

use super::error::{ObjectError, RemoteFailure};
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

/// Maximum number of concurrent transfers. Each holds at most [`PART_BYTES`] in memory.
pub(super) const TRANSFERS: usize = 16;
/// Larger objects are uploaded in parts of this size.
pub(super) const PART_BYTES: u64 = 8 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of requests for sizes and small objects.
const SMALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of transfers of content, while no byte arrives. The response to an upload arrives after the whole part was sent.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);
const MAX_RETRIES: usize = 2;
/// A request that fails after this time is not retried.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// The environment variables that configure remotes. Their values are never shown.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl FromIterator<(OsString, OsString)> for Environment {
    /// Keeps the variables that clients of object stores read: `AWS_…`, `AZURE_…`, `GOOGLE_…` and a few more.
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

/// The variable with the endpoint of Azure's managed identities.
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

    /// Returns a variable that is not set, which may be why a remote can't be used.
    fn hint(&self, scheme: Scheme) -> Option<&'static str> {
        let variable = match scheme {
            Scheme::S3 => "AWS_ACCESS_KEY_ID",
            Scheme::Gs => "GOOGLE_SERVICE_ACCOUNT",
            Scheme::Az => "AZURE_STORAGE_ACCOUNT_KEY",
            Scheme::File => return None,
        };
        (!self.0.contains_key(variable)).then_some(variable)
    }

    /// Returns `text`, or a generic message if it contains the value of a variable.
    fn without_secrets(&self, text: String) -> String {
        let is_secret = self.0.values().any(|value| value.len() >= 6 && text.contains(value.as_str()));
        if is_secret { "an environment variable has an invalid value".to_owned() } else { text }
    }
}

/// A connection to a remote.
pub(super) struct Link {
    pub(super) runtime: Runtime,
    /// Client for small objects, with a short timeout.
    small: Arc<dyn ObjectStore>,
    /// Client for content.
    pub(super) content: Arc<dyn ObjectStore>,
    prefix: Path,
    pub(super) permits: Arc<Semaphore>,
    hint: Option<&'static str>,
}

/// Why a transfer failed.
#[derive(Debug)]
pub(super) enum TransferError {
    /// The remote can't be used.
    Remote(RemoteFailure),
    /// An object can't be used.
    Object { object: String, error: ObjectError },
    /// The local store failed.
    Cache(CacheError),
    /// The user stopped the transfer.
    Stopped,
}

impl From<CacheError> for TransferError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

impl Link {
    pub(super) fn new(url: &RemoteUrl, environment: &Environment) -> Result<Self, RemoteFailure> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).thread_name("remote").enable_all().build();
        let runtime = runtime.map_err(|error| RemoteFailure::File(error.to_string()))?;
        // This fails if another part of the process has set a provider, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let small = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(SMALL_TIMEOUT);
        let content = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout_disabled();
        let content = content.with_read_timeout(STALL_TIMEOUT);
        let prefix = Path::parse(url.prefix()).map_err(|error| RemoteFailure::Settings(error.to_string()))?;
        Ok(Self {
            runtime,
            small: client(url, environment, small)?,
            content: client(url, environment, content)?,
            prefix,
            permits: Arc::new(Semaphore::new(TRANSFERS)),
            hint: environment.hint(url.scheme()),
        })
    }

    /// Returns the full name of an object such as `v1/blobs/ab/cdef…`.
    pub(super) fn path(&self, object: &str) -> Path {
        object.split('/').fold(self.prefix.clone(), Path::join)
    }

    pub(super) fn failure(&self, error: &object_store::Error) -> TransferError {
        TransferError::Remote(RemoteFailure::of(error, self.hint))
    }

    /// Returns the size of an object, or `None` if it does not exist.
    pub(super) async fn size(&self, object: &str) -> Result<Option<u64>, TransferError> {
        let _permit = self.permits.acquire().await;
        match self.small.head(&self.path(object)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Returns the content of an object, or `None` if it does not exist.
    pub(super) async fn read(&self, object: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, TransferError> {
        let _permit = self.permits.acquire().await;
        let too_large =
            || TransferError::Object { object: object.to_owned(), error: ObjectError::TooLarge { limit_bytes } };
        let got = match self.small.get(&self.path(object)).await {
            Ok(got) => got,
            Err(error) => {
                let absent = matches!(error, object_store::Error::NotFound { .. });
                return match self.failure(&error) {
                    TransferError::Remote(RemoteFailure::NoBucket) => {
                        Err(TransferError::Remote(RemoteFailure::NoBucket))
                    }
                    _ if absent => Ok(None),
                    error => Err(error),
                };
            }
        };
        if got.meta.size > limit_bytes {
            return Err(too_large());
        }
        let (mut bytes, mut stream) = (Vec::with_capacity(got.meta.size as usize), got.into_stream());
        while let Some(chunk) = stream.try_next().await.map_err(|error| self.failure(&error))? {
            if (bytes.len() + chunk.len()) as u64 > limit_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// Returns the names of all objects below a folder such as `v1/actions`, without the prefix.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, TransferError> {
        let objects = self.small.list(Some(&self.path(folder)));
        let objects: Vec<_> = objects.try_collect().await.map_err(|error| self.failure(&error))?;
        let name = |meta: &object_store::ObjectMeta| {
            let steps: Vec<_> =
                meta.location.prefix_match(&self.prefix)?.map(|step| step.as_ref().to_owned()).collect();
            Some(steps.join("/"))
        };
        Ok(objects.iter().filter_map(name).collect())
    }
}

fn client(
    url: &RemoteUrl,
    environment: &Environment,
    options: ClientOptions,
) -> Result<Arc<dyn ObjectStore>, RemoteFailure> {
    let settings = |error: object_store::Error| RemoteFailure::Settings(environment.without_secrets(error.to_string()));
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: RETRY_FOR };
    let bucket = url.bucket();
    // Options from the environment come last, so that the user can override the others.
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
                return Err(RemoteFailure::NoBucket);
            }
            Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(settings)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_keeps_known_variables_and_never_shows_values() {
        let variables = [("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"), ("PATH", "/bin"), ("GOOGLE_BUCKET", "b")];
        let environment: Environment = variables.map(|(name, value)| (name.into(), value.into())).into_iter().collect();
        let shown = format!("{environment:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hunter2") && !shown.contains("PATH"));
        assert!(!environment.without_secrets("bad value hunter2hunter2".into()).contains("hunter2"));
        assert_eq!(environment.without_secrets("no region".into()), "no region");
        assert_eq!(environment.hint(Scheme::S3), Some("AWS_ACCESS_KEY_ID"));
    }
}
