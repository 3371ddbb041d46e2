//! [`OpenVino`]: OpenVINO on the CPU, loaded once per process.

use crate::engine::check_length;
use crate::error::EngineError;
use crate::{
    Engine, ExecutionProvider, InferError, InferenceEngine, InferencePrecision, ModelFile, Session, SessionOptions,
};
use openvino::{
    CompiledModel, Core, DeviceType, ElementType, InferRequest, InferenceError, PropertyKey, RwPropertyKey, Shape,
    Tensor,
};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const ENGINE: InferenceEngine = InferenceEngine::OpenVino;

/// The library of this process: the crate `openvino` never replaces it.
static LOADED: Mutex<Option<OpenVino>> = Mutex::new(None);

/// A loaded OpenVINO. Clones share it.
#[derive(Clone)]
pub struct OpenVino {
    core: Arc<Mutex<Core>>,
    library: PathBuf,
    version: String,
}

/// A model on OpenVINO.
struct OpenVinoSession {
    precision: InferencePrecision,
    request: InferRequest,
    /// Outlives the request.
    _model: CompiledModel,
}

impl OpenVino {
    /// Loads OpenVINO from its C library, which finds the others in its folder. Returns the loaded one if it came from the same file.
    ///
    /// # Errors
    /// [`InferError::LibraryMissing`] if the file does not exist, [`InferError::NotALibrary`] and [`InferError::Library`] if it can't be
    /// loaded, and [`InferError::OtherLibrary`] if this process has loaded another file.
    pub fn load(library: &Path) -> Result<Self, InferError> {
        let library = library.canonicalize().map_err(|source| InferError::LibraryMissing {
            engine: ENGINE,
            path: library.to_owned(),
            source,
        })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(openvino) = loaded.as_ref() {
            if openvino.library == library {
                return Ok(openvino.clone());
            }
            return Err(InferError::OtherLibrary { engine: ENGINE, loaded: openvino.library.clone(), asked: library });
        }
        require_functions(&library)?;
        let unusable = |source| InferError::Library { engine: ENGINE, path: library.clone(), source };
        openvino_sys::library::load_from(library.clone())
            .map_err(|message| unusable(EngineError::LoadOpenVino(message)))?;
        let core = Core::new().map_err(|source| InferError::Start { engine: ENGINE, source: source.into() })?;
        // Such as `2026.4.1-22982-…`.
        let build = openvino::version().build_number;
        let version = build.split('-').next().unwrap_or_default().to_owned();
        Ok(loaded.insert(Self { core: Arc::new(Mutex::new(core)), library, version }).clone())
    }

    /// Returns whether this processor supports the precision.
    fn supports(&self, precision: InferencePrecision) -> Result<bool, InferenceError> {
        let capability = match precision {
            InferencePrecision::Float32 => return Ok(true),
            InferencePrecision::Bfloat16 => "BF16",
        };
        let core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let capabilities = core.get_property(&DeviceType::CPU, &PropertyKey::DeviceCapabilities)?;
        Ok(capabilities.split_whitespace().any(|name| name == capability))
    }

    fn session(&self, model: &ModelFile, options: SessionOptions) -> Result<OpenVinoSession, InferenceError> {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match model.path_of_external_data().and_then(Path::to_str) {
            Some(path) => core.read_model_from_file(path, "")?,
            None => core.read_model_from_buffer(model.bytes(), None)?,
        };
        let threads = options.threads.to_string();
        let properties = [
            (RwPropertyKey::HintInferencePrecision, hint(options.precision)),
            (RwPropertyKey::NumStreams, "1"),
            (RwPropertyKey::InferenceNumThreads, threads.as_str()),
            // Pinned threads of several copies of a network would all be on the first processor.
            (RwPropertyKey::HintEnableCpuPinning, "NO"),
        ];
        core.set_properties(&DeviceType::CPU, properties)?;
        let mut compiled = core.compile_model(&read, DeviceType::CPU)?;
        let request = compiled.create_infer_request()?;
        Ok(OpenVinoSession { precision: options.precision, request, _model: compiled })
    }
}

impl Engine for OpenVino {
    fn kind(&self) -> InferenceEngine {
        ENGINE
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn open(&self, model: &ModelFile, options: SessionOptions) -> Result<Box<dyn Session>, InferError> {
        if options.provider != ExecutionProvider::Cpu {
            let (provider, library) = (options.provider, self.library.clone());
            return Err(InferError::Provider { engine: ENGINE, provider, library });
        }
        let refused =
            |source: InferenceError| InferError::Model { engine: ENGINE, model: model.name(), source: source.into() };
        if !self.supports(options.precision).map_err(refused)? {
            return Err(InferError::Precision { engine: ENGINE, precision: options.precision });
        }
        Ok(Box::new(self.session(model, options).map_err(refused)?))
    }
}

impl OpenVinoSession {
    fn infer(
        &mut self,
        input_name: &str,
        shape: [usize; 5],
        data: &[f32],
    ) -> Result<(Vec<i64>, Vec<f32>), EngineError> {
        let mut input = Tensor::new(ElementType::F32, &Shape::new(&shape.map(|size| size as i64))?)?;
        input.get_data_mut::<f32>()?.copy_from_slice(data);
        self.request.set_tensor(input_name, &input)?;
        self.request.infer()?;
        let output = self.request.get_output_tensor_by_index(0)?;
        let element_type = output.get_element_type()?;
        if element_type != ElementType::F32 {
            return Err(EngineError::OutputType { found: format!("{element_type:?}") });
        }
        let shape = output.get_shape()?.get_dimensions().to_vec();
        Ok((shape, output.get_data::<f32>()?.to_vec()))
    }
}

impl Session for OpenVinoSession {
    fn run(&mut self, input_name: &str, shape: [usize; 5], data: Vec<f32>) -> Result<(Vec<i64>, Vec<f32>), InferError> {
        check_length(shape, data.len())?;
        self.infer(input_name, shape, &data).map_err(|source| InferError::Run { engine: ENGINE, source })
    }

    fn settings(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("INFERENCE_PRECISION_HINT", hint(self.precision).to_owned())])
    }
}

impl fmt::Debug for OpenVino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenVino")
            .field("library", &self.library)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenVinoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenVinoSession")
    }
}

/// Returns OpenVINO's name of a precision. It must always be set: by default OpenVINO computes in bfloat16 on processors that have it.
fn hint(precision: InferencePrecision) -> &'static str {
    match precision {
        InferencePrecision::Float32 => "f32",
        InferencePrecision::Bfloat16 => "bf16",
    }
}

/// Checks that a file is the C library of OpenVINO. The crate `openvino` panics if a function is missing.
fn require_functions(library: &Path) -> Result<(), InferError> {
    let not_a_library = |source| InferError::NotALibrary { path: library.to_owned(), source };
    #[expect(unsafe_code, reason = "a shared library is code")]
    // SAFETY: loading a library runs its start-up code; the user chose this file as OpenVINO. No function is called.
    unsafe {
        let handle = libloading::Library::new(library).map_err(not_a_library)?;
        for name in [&b"ov_core_create\0"[..], b"ov_get_openvino_version\0", b"ov_core_read_model_from_memory_buffer\0"]
        {
            handle.get::<unsafe extern "C" fn()>(name).map_err(not_a_library)?;
        }
    }
    Ok(())
}
