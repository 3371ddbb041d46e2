//! [`OnnxRuntime`]: ONNX Runtime, loaded once per process.

use crate::engine::check_length;
use crate::{
    Engine, ExecutionProvider, InferError, InferenceEngine, InferencePrecision, ModelFile, Session, SessionOptions,
};
use ort::environment::Environment;
use ort::ep::{CUDA, ExecutionProvider as _, ExecutionProviderDispatch, TensorRT};
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const ENGINE: InferenceEngine = InferenceEngine::OnnxRuntime;

/// The runtime of this process. `ort` allows a single environment per process, so it is never replaced.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// A loaded ONNX Runtime. Clones share the library.
#[derive(Debug, Clone)]
pub struct OnnxRuntime {
    environment: Environment,
    library: PathBuf,
    version: String,
}

/// A model on ONNX Runtime.
#[derive(Debug)]
struct OnnxSession {
    session: ort::session::Session,
    provider: ExecutionProvider,
}

impl OnnxRuntime {
    /// Loads ONNX Runtime from a shared library. Returns the loaded runtime if it came from the same file.
    ///
    /// # Errors
    /// [`InferError::LibraryMissing`] if the file does not exist, [`InferError::NotALibrary`] if it can't be loaded,
    /// [`InferError::Library`] if it is not ONNX Runtime 1.24 or later, and [`InferError::OtherLibrary`] if this process has loaded
    /// another file.
    pub fn load(library: &Path) -> Result<Self, InferError> {
        // The loader searches relative paths next to the executable.
        let library = library.canonicalize().map_err(|source| InferError::LibraryMissing {
            engine: ENGINE,
            path: library.to_owned(),
            source,
        })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return runtime.expect_library(library);
        }
        let version = version(&library)?;
        let builder = ort::init_from(&library)
            .map_err(|source| InferError::Library { engine: ENGINE, path: library.clone(), source: source.into() })?
            .with_telemetry(false);
        let environment =
            builder.build().map_err(|source| InferError::Start { engine: ENGINE, source: source.into() })?;
        Ok(loaded.insert(Self { environment, library, version }).clone())
    }

    fn expect_library(&self, asked: PathBuf) -> Result<Self, InferError> {
        if self.library == asked {
            return Ok(self.clone());
        }
        Err(InferError::OtherLibrary { engine: ENGINE, loaded: self.library.clone(), asked })
    }

    /// Returns what `ort` calls an execution provider; nothing for the CPU, which it always has.
    fn providers(&self, provider: ExecutionProvider) -> Result<Vec<ExecutionProviderDispatch>, InferError> {
        let (is_available, dispatch) = match provider {
            ExecutionProvider::Cpu => return Ok(Vec::new()),
            ExecutionProvider::Cuda => (CUDA::is_available(), CUDA::default().build()),
            ExecutionProvider::TensorRt => (TensorRT::is_available(), TensorRT::default().build()),
        };
        if is_available.unwrap_or(false) {
            return Ok(vec![dispatch.error_on_failure()]);
        }
        Err(InferError::Provider { engine: ENGINE, provider, library: self.library.clone() })
    }

    fn session(
        &self,
        model: &ModelFile,
        options: SessionOptions,
        providers: Vec<ExecutionProviderDispatch>,
    ) -> ort::Result<ort::session::Session> {
        let mut builder = ort::session::Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(options.threads)?
            // Threads that wait in a loop take processor time from those that decode videos.
            .with_intra_op_spinning(false)?
            .with_execution_providers(providers)?;
        match model.path_of_external_data() {
            Some(path) => builder.commit_from_file(path),
            None => builder.commit_from_memory(model.bytes()),
        }
    }
}

impl Engine for OnnxRuntime {
    fn kind(&self) -> InferenceEngine {
        ENGINE
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn open(&self, model: &ModelFile, options: SessionOptions) -> Result<Box<dyn Session>, InferError> {
        if options.precision != InferencePrecision::Float32 {
            return Err(InferError::Precision { engine: ENGINE, precision: options.precision });
        }
        let providers = self.providers(options.provider)?;
        let session = self.session(model, options, providers).map_err(|source| InferError::Model {
            engine: ENGINE,
            model: model.name(),
            source: source.into(),
        })?;
        Ok(Box::new(OnnxSession { session, provider: options.provider }))
    }
}

impl Session for OnnxSession {
    fn run(&mut self, input_name: &str, shape: [usize; 5], data: Vec<f32>) -> Result<(Vec<i64>, Vec<f32>), InferError> {
        check_length(shape, data.len())?;
        let failed = |source: ort::Error| InferError::Run { engine: ENGINE, source: source.into() };
        let tensor = Tensor::from_array((shape, data)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![input_name => tensor]).map_err(failed)?;
        let output = outputs.values().next().ok_or(InferError::NoOutput)?;
        let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        Ok((shape.to_vec(), values.to_vec()))
    }

    fn settings(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("execution_provider", self.provider.name().to_owned())])
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
