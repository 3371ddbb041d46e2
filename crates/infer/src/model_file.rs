//! [`ModelFile`]: an ONNX file that was checked before an engine sees it.

use crate::header::{self, Header, ModelPort};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// The limit of protobuf for one message.
const MAX_BYTES: u64 = i32::MAX as u64;

/// Opsets of the ONNX operators that the engines run.
const OPSETS: std::ops::RangeInclusive<u64> = 7..=24;

/// Largest product of the fixed sizes of an input or output.
const MAX_VALUES: u64 = 1 << 31;

/// An ONNX file that was checked: it is complete, its tensors fit in it, and it reads no file outside its folder.
#[derive(Debug, Clone)]
pub struct ModelFile {
    path: Option<PathBuf>,
    bytes: Vec<u8>,
    header: Header,
}

/// Why a file is not used as a model.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ModelFileError {
    /// The file can't be read.
    #[error("the model {} can't be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// It is a folder, a pipe or a device.
    #[error("{} is not a file", path.display())]
    NotAFile { path: PathBuf },
    /// It exceeds the limit of protobuf.
    #[error("{model} has {size_bytes} bytes, but an ONNX file has at most {MAX_BYTES}")]
    TooLarge { model: String, size_bytes: u64 },
    /// It is not ONNX, or it is cut off.
    #[error("{model} is not a complete ONNX file")]
    NotOnnx { model: String },
    /// It has another opset.
    #[error("{model} uses opset {opset}; opsets {} to {} can be run", OPSETS.start(), OPSETS.end())]
    Opset { model: String, opset: u64 },
    /// It does not name the opset of its operators.
    #[error("{model} does not state the opset of its operators")]
    NoOpset { model: String },
    /// A tensor is larger than the file that contains it.
    #[error("the tensor `{tensor}` of {model} has {num_values} values, which is more than the file contains")]
    TensorSize { model: String, tensor: String, num_values: u64 },
    /// An input or an output is too large.
    #[error("`{port}` of {model} has the shape {shape}, which is too large")]
    Shape { model: String, port: String, shape: String },
    /// The model has several inputs, or no output.
    #[error("{model} has {num_inputs} inputs and {num_outputs} outputs, expected one input and at least one output")]
    Ports { model: String, num_inputs: usize, num_outputs: usize },
    /// A tensor is in a file outside the folder of the model.
    #[error("the tensor `{tensor}` of {model} is in the file `{location}`, which is not in the folder of the model")]
    ExternalData { model: String, tensor: String, location: String },
}

impl ModelFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ModelFileError`] if it is not a model that can be run.
    pub fn read(path: &Path) -> Result<Self, ModelFileError> {
        let unreadable = |source| ModelFileError::Read { path: path.to_owned(), source };
        let file = open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(ModelFileError::NotAFile { path: path.to_owned() });
        }
        let model = path.display().to_string();
        let size_bytes = metadata.len();
        if size_bytes > MAX_BYTES {
            return Err(ModelFileError::TooLarge { model, size_bytes });
        }
        let mut bytes = Vec::with_capacity(size_bytes as usize);
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::checked(Some(path.to_owned()), bytes, &model)
    }

    /// Checks a model in memory.
    ///
    /// # Errors
    /// [`ModelFileError`] if it is not a model that can be run.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ModelFileError> {
        let model = format!("the model of {} bytes", bytes.len());
        Self::checked(None, bytes, &model)
    }

    fn checked(path: Option<PathBuf>, bytes: Vec<u8>, model: &str) -> Result<Self, ModelFileError> {
        let model = || model.to_owned();
        let header = header::read(&bytes).map_err(|header::Malformed| ModelFileError::NotOnnx { model: model() })?;
        match header.opset {
            None => return Err(ModelFileError::NoOpset { model: model() }),
            Some(opset) if !OPSETS.contains(&opset) => return Err(ModelFileError::Opset { model: model(), opset }),
            Some(_) => {}
        }
        if let Some((tensor, num_values)) = header.oversized.clone() {
            return Err(ModelFileError::TensorSize { model: model(), tensor, num_values });
        }
        let (num_inputs, num_outputs) = (header.inputs.len(), header.outputs.len());
        if num_inputs != 1 || num_outputs == 0 {
            return Err(ModelFileError::Ports { model: model(), num_inputs, num_outputs });
        }
        for port in header.inputs.iter().chain(&header.outputs) {
            if port.fixed_values().is_none_or(|values| values > MAX_VALUES) {
                let (port, shape) = (port.name.clone(), port.shape_text());
                return Err(ModelFileError::Shape { model: model(), port, shape });
            }
        }
        for (tensor, location) in &header.external {
            if !path.as_deref().is_some_and(|path| is_within(path, location)) {
                let (tensor, location) = (tensor.clone(), location.clone());
                return Err(ModelFileError::ExternalData { model: model(), tensor, location });
            }
        }
        Ok(Self { path, bytes, header })
    }

    /// Returns the model's `metadata_props`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.header.metadata
    }

    /// Returns the input.
    pub fn input(&self) -> &ModelPort {
        &self.header.inputs[0]
    }

    /// Returns the outputs, at least one.
    pub fn outputs(&self) -> &[ModelPort] {
        &self.header.outputs
    }

    /// Returns the opset of the ONNX operators.
    pub fn opset(&self) -> u64 {
        self.header.opset.unwrap_or_default()
    }

    /// Returns the size of the file, without tensors in other files.
    pub fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns the content of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether tensors are in other files.
    pub fn has_other_files(&self) -> bool {
        !self.header.external.is_empty()
    }

    /// Returns the path, if an engine must read tensors from other files in its folder.
    pub(crate) fn path_of_external_data(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.has_other_files())
    }

    /// Returns the path, or the size if the model is not in a file.
    pub(crate) fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| format!("of {} bytes", self.bytes.len()), |path| path.display().to_string())
    }
}

/// Opens a file without waiting for the other end of a pipe.
fn open(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    /// `O_NONBLOCK` of Linux.
    const NONBLOCK: i32 = 0o4000;
    std::fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)
}

/// Returns whether a tensor's file is in the folder of its model, also after symbolic links are followed.
fn is_within(model: &Path, location: &str) -> bool {
    let location = Path::new(location);
    let is_plain = location.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let folder = model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = |path: &Path| path.canonicalize().ok();
    match (real(folder), real(&folder.join(location))) {
        (Some(folder), Some(file)) => is_plain && file.starts_with(folder) && file.is_file(),
        _ => false,
    }
}
