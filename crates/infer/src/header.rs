//! [`Header`]: what must be known of an ONNX file before an engine loads it. Weights are skipped, not read.

use crate::wire::{Fields, Value, varint};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

pub(crate) use crate::wire::Malformed;

/// Nested messages beyond this depth are not accepted; protobuf's own limit is 100.
const MAX_DEPTH: u32 = 100;

/// What must be known of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Header {
    /// Opset of the ONNX operators.
    pub(crate) opset: Option<u64>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Inputs that are not weights.
    pub(crate) inputs: Vec<ModelPort>,
    pub(crate) outputs: Vec<ModelPort>,
    /// Tensors in other files: name and location.
    pub(crate) external: Vec<(String, String)>,
    /// The first tensor that has more values than the file has room for, and their number.
    pub(crate) oversized: Option<(String, u64)>,
    file_bytes: u64,
}

/// An input or an output of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelPort {
    /// Its name.
    pub name: String,
    /// Its sizes; `None` if the model has no shape for it.
    pub dims: Option<Vec<Dim>>,
    /// Number of its element type in ONNX; 1 is float32.
    pub element_type: u64,
}

/// The size of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A fixed size.
    Fixed(u64),
    /// Any size, and the name of the axis.
    Dynamic(String),
}

impl ModelPort {
    /// Returns the product of the fixed sizes; `None` if it exceeds 64 bits.
    pub(crate) fn fixed_values(&self) -> Option<u64> {
        let sizes = self.dims.iter().flatten().map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Dynamic(_) => 1,
        });
        sizes.map(|size| size.max(1)).try_fold(1, u64::checked_mul)
    }

    /// Returns the shape, such as `[N, 3, 8, 224, 224]`.
    pub fn shape_text(&self) -> String {
        let Some(dims) = &self.dims else { return "of any rank".to_owned() };
        let mut text = String::from("[");
        for (position, dim) in dims.iter().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            // Writing to a string can't fail.
            let _ = match dim {
                Dim::Fixed(size) => write!(text, "{comma}{size}"),
                Dim::Dynamic(name) if name.is_empty() => write!(text, "{comma}?"),
                Dim::Dynamic(name) => write!(text, "{comma}{name}"),
            };
        }
        text + "]"
    }
}

/// Reads the header of a file.
pub(crate) fn read(file: &[u8]) -> Result<Header, Malformed> {
    let mut header = Header { file_bytes: file.len() as u64, ..Header::default() };
    let (mut inputs, mut weights, mut has_graph) = (Vec::new(), BTreeSet::new(), false);
    for field in Fields::of(file) {
        match field? {
            (7, Value::Bytes(graph)) => {
                has_graph = true;
                for field in Fields::of(graph) {
                    match field? {
                        (5, Value::Bytes(tensor)) => {
                            weights.insert(tensor_name(tensor)?);
                        }
                        (11, Value::Bytes(port)) => inputs.push(model_port(port)?),
                        (12, Value::Bytes(port)) => header.outputs.push(model_port(port)?),
                        _ => {}
                    }
                }
                header.graph(graph, 0)?;
            }
            (8, Value::Bytes(opset)) => header.opset(opset)?,
            (14, Value::Bytes(entry)) => {
                let (key, value) = entry_of(entry)?;
                header.metadata.insert(key, value);
            }
            // Graphs for training: initialisation and algorithm.
            (20, Value::Bytes(training)) => {
                header.below(training, 0, |number| [1, 2].contains(&number), Header::graph)?;
            }
            // Functions, which consist of nodes.
            (25, Value::Bytes(function)) => header.below(function, 0, |number| number == 7, Header::node)?,
            _ => {}
        }
    }
    header.inputs = inputs.into_iter().filter(|input: &ModelPort| !weights.contains(&input.name)).collect();
    if has_graph { Ok(header) } else { Err(Malformed) }
}

impl Header {
    /// Calls `visit` for each message in the fields that `select` selects.
    fn below(
        &mut self,
        message: &[u8],
        depth: u32,
        select: impl Fn(u64) -> bool,
        visit: fn(&mut Self, &[u8], u32) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for field in Fields::of(message) {
            if let (number, Value::Bytes(bytes)) = field?
                && select(number)
            {
                visit(self, bytes, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Visits the tensors of a graph, also those in attributes of its nodes.
    fn graph(&mut self, graph: &[u8], depth: u32) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        self.below(graph, depth, |number| number == 1, Self::node)?;
        self.below(graph, depth, |number| number == 5, Self::tensor)?;
        self.below(graph, depth, |number| number == 15, Self::sparse_tensor)
    }

    fn node(&mut self, node: &[u8], depth: u32) -> Result<(), Malformed> {
        self.below(node, depth, |number| number == 5, Self::attribute)
    }

    fn attribute(&mut self, attribute: &[u8], depth: u32) -> Result<(), Malformed> {
        self.below(attribute, depth, |number| [5, 10].contains(&number), Self::tensor)?;
        self.below(attribute, depth, |number| [6, 11].contains(&number), Self::graph)?;
        self.below(attribute, depth, |number| [22, 23].contains(&number), Self::sparse_tensor)
    }

    fn sparse_tensor(&mut self, tensor: &[u8], depth: u32) -> Result<(), Malformed> {
        self.below(tensor, depth, |number| [1, 2].contains(&number), Self::tensor)
    }

    fn tensor(&mut self, tensor: &[u8], _depth: u32) -> Result<(), Malformed> {
        let (mut num_values, mut data_type, mut is_external, mut location) = (Some(1_u64), 0, false, String::new());
        let mut multiply = |size: u64| num_values = num_values.and_then(|values| values.checked_mul(size));
        for field in Fields::of(tensor) {
            match field? {
                (1, Value::Varint(size)) => multiply(size),
                (1, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        multiply(varint(&mut packed)?);
                    }
                }
                (2, Value::Varint(number)) => data_type = number,
                (13, Value::Bytes(entry)) => {
                    is_external = true;
                    let (key, value) = entry_of(entry)?;
                    if key == "location" {
                        location = value;
                    }
                }
                (14, Value::Varint(place)) => is_external |= place != 0,
                _ => {}
            }
        }
        if is_external {
            self.external.push((tensor_name(tensor)?, location));
        } else if num_values.is_none_or(|values| min_bytes(values, data_type) > self.file_bytes)
            && self.oversized.is_none()
        {
            self.oversized = Some((tensor_name(tensor)?, num_values.unwrap_or(u64::MAX)));
        }
        Ok(())
    }

    fn opset(&mut self, opset: &[u8]) -> Result<(), Malformed> {
        let (mut domain, mut version) = (String::new(), 0);
        for field in Fields::of(opset) {
            match field? {
                (1, Value::Bytes(bytes)) => domain = text(bytes)?,
                (2, Value::Varint(number)) => version = number,
                _ => {}
            }
        }
        if ["", "ai.onnx"].contains(&domain.as_str()) {
            self.opset = Some(version);
        }
        Ok(())
    }
}

/// Returns the smallest number of bytes that hold so many values of a type. Numbers with a variable length have at least one byte.
fn min_bytes(num_values: u64, data_type: u64) -> u64 {
    match data_type {
        1 => num_values.saturating_mul(4),  // float32
        11 => num_values.saturating_mul(8), // float64
        21..=23 => num_values / 2,          // 4 bits
        _ => num_values,
    }
}

fn tensor_name(tensor: &[u8]) -> Result<String, Malformed> {
    let mut name = String::new();
    for field in Fields::of(tensor) {
        if let (8, Value::Bytes(bytes)) = field? {
            name = text(bytes)?;
        }
    }
    Ok(name)
}

/// Reads a `StringStringEntryProto`.
fn entry_of(entry: &[u8]) -> Result<(String, String), Malformed> {
    let (mut key, mut value) = (String::new(), String::new());
    for field in Fields::of(entry) {
        match field? {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Reads a `ValueInfoProto`.
fn model_port(info: &[u8]) -> Result<ModelPort, Malformed> {
    let mut port = ModelPort::default();
    for field in Fields::of(info) {
        match field? {
            (1, Value::Bytes(bytes)) => port.name = text(bytes)?,
            (2, Value::Bytes(of_type)) => {
                for field in Fields::of(of_type) {
                    if let (1, Value::Bytes(tensor)) = field? {
                        tensor_type(tensor, &mut port)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(port)
}

/// Reads a `TypeProto.Tensor`.
fn tensor_type(tensor: &[u8], port: &mut ModelPort) -> Result<(), Malformed> {
    for field in Fields::of(tensor) {
        match field? {
            (1, Value::Varint(number)) => port.element_type = number,
            (2, Value::Bytes(shape)) => {
                let dims = port.dims.get_or_insert_default();
                for field in Fields::of(shape) {
                    if let (1, Value::Bytes(dimension)) = field? {
                        dims.push(dim(dimension)?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn dim(dimension: &[u8]) -> Result<Dim, Malformed> {
    let mut dim = Dim::Dynamic(String::new());
    for field in Fields::of(dimension) {
        match field? {
            // A negative size means any size.
            (1, Value::Varint(size)) if i64::try_from(size).is_ok() => dim = Dim::Fixed(size),
            (2, Value::Bytes(name)) => dim = Dim::Dynamic(text(name)?),
            _ => {}
        }
    }
    Ok(dim)
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}
