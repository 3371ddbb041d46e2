//! [`Context::thread_pool`]: the one place where stages get threads for work on data in memory.

use crate::{Context, StageError};

#[derive(Debug, thiserror::Error)]
#[error("can't start {num_threads} threads")]
struct ThreadsError {
    num_threads: usize,
    source: rayon::ThreadPoolBuildError,
}

impl Context {
    /// Returns a pool of [`Self::threads`] threads. It ends when it is dropped.
    ///
    /// # Errors
    /// If the system does not allow this process as many threads.
    pub fn thread_pool(&self) -> Result<rayon::ThreadPool, StageError> {
        let num_threads = self.threads();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(num_threads).build();
        Ok(pool.map_err(|source| ThreadsError { num_threads, source })?)
    }
}
