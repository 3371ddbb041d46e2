//! [`Runtime`]: the library, loaded once per process.

use crate::{InferError, Session};
use ort::environment::Environment;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The runtime of this process. `ort` allows a single environment per process, so it is never replaced.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded ONNX Runtime. Clones share the library.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
    version: String,
}

impl Runtime {
    /// Loads ONNX Runtime from a shared library. Returns the loaded runtime if it came from the same file.
    ///
    /// # Errors
    /// [`InferError::LibraryMissing`] if the file does not exist, [`InferError::NotALibrary`] if it can't be loaded,
    /// [`InferError::Library`] if it is not ONNX Runtime 1.24 or later, and [`InferError::OtherLibrary`] if this process has loaded
    /// another file.
    pub fn load(library: &Path) -> Result<Self, InferError> {
        // The loader searches relative paths next to the executable.
        let library =
            library.canonicalize().map_err(|source| InferError::LibraryMissing { path: library.to_owned(), source })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return runtime.expect_library(library);
        }
        let version = version(&library)?;
        let builder = ort::init_from(&library)
            .map_err(|source| InferError::Library { path: library.clone(), source })?
            .with_telemetry(false);
        let environment = builder.build().map_err(|source| InferError::Start { source })?;
        Ok(loaded.insert(Self { environment, library, version }).clone())
    }

    /// Returns the version that the library reports, such as `1.31.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Opens a model. `threads` is the number of threads per operation; 0 means one per core.
    pub fn session(&self, model: &Path, threads: usize) -> Result<Session, InferError> {
        let refused = |source| InferError::Model { model: model.display().to_string(), source };
        let mut builder = Session::builder(&self.environment, threads).map_err(refused)?;
        builder.commit_from_file(model).map(Session::new).map_err(refused)
    }

    /// Opens a model in memory. `threads` is the number of threads per operation; 0 means one per core.
    pub fn session_from_bytes(&self, model: &[u8], threads: usize) -> Result<Session, InferError> {
        let refused = |source| InferError::Model { model: format!("of {} bytes", model.len()), source };
        let mut builder = Session::builder(&self.environment, threads).map_err(refused)?;
        builder.commit_from_memory(model).map(Session::new).map_err(refused)
    }

    fn expect_library(&self, asked: PathBuf) -> Result<Self, InferError> {
        if self.library == asked {
            return Ok(self.clone());
        }
        Err(InferError::OtherLibrary { loaded: self.library.clone(), asked })
    }
}

/// Returns the version that a library reports, which `ort` does not expose.
fn version(library: &Path) -> Result<String, InferError> {
    type ApiBase = unsafe extern "system" fn() -> *const ort::sys::OrtApiBase;
    let not_a_library = |source| InferError::NotALibrary { path: library.to_owned(), source };
    #[expect(unsafe_code, reason = "a shared library is code, and its functions are C")]
    // SAFETY: loading a library runs its start-up code; the user chose this file as ONNX Runtime. `OrtGetApiBase` has this signature in
    // all versions. It returns a static table, and the version in that table is a static string.
    unsafe {
        let handle = libloading::Library::new(library).map_err(not_a_library)?;
        let base = handle.get::<ApiBase>(b"OrtGetApiBase\0").map_err(not_a_library)?();
        let Some(base) = base.as_ref() else { return Ok(String::new()) };
        Ok(CStr::from_ptr((base.GetVersionString)()).to_string_lossy().into_owned())
    }
}
