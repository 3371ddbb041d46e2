//! The few calls that build tensors, and the references to their storages.

use super::machine::Machine;
use super::{Object, Storage, TensorRef, Value};
use crate::error::FormatError;
use crate::tensor::Dtype;

/// The maximum number of arguments of the calls that build tensors.
const MAX_ARGS: usize = 8;
/// The maximum number of axes of a tensor, as in PyTorch. Many tensors can share one tuple of sizes, so that a small file can
/// describe an unlimited amount of memory.
const MAX_DIMS: usize = 64;

impl<'a> Machine<'a> {
    /// Returns the result of calling `function`, for the few functions that build tensors.
    pub(super) fn reduce(&mut self, function: Value<'a>, args: Value<'a>) -> Result<Value<'a>, FormatError> {
        let Value::Global(module, name) = function else { return Ok(Value::Opaque) };
        let args = self.tuple(args).ok_or(self.bad("the arguments of a call are not a tuple"))?;
        // No function below has more arguments. A tuple of any size may be passed to any number of calls.
        let args: Vec<Value<'a>> = args.iter().take(MAX_ARGS).copied().collect();
        match (module, name) {
            ("collections", "OrderedDict") => self.ordered_dict(&args),
            ("collections", "defaultdict") => Ok(self.object(Object::Dict(Vec::new()))),
            // A tensor with Python attributes: function, type, arguments, attributes.
            ("torch._tensor", "_rebuild_from_type_v2") => match args.as_slice() {
                &[Value::Global("torch._utils", name), _, args, ..] => {
                    let args = self.tuple(args).unwrap_or_default();
                    let args: Vec<Value<'a>> = args.iter().take(MAX_ARGS).copied().collect();
                    self.rebuild(name, &args)
                }
                _ => Ok(Value::Opaque),
            },
            ("torch._utils", name) => self.rebuild(name, &args),
            ("torch", "Size") => Ok(args.first().copied().unwrap_or(Value::Opaque)),
            _ => Ok(Value::Opaque),
        }
    }

    /// Returns the result of a function of `torch._utils`.
    fn rebuild(&mut self, name: &'a str, args: &[Value<'a>]) -> Result<Value<'a>, FormatError> {
        match name {
            "_rebuild_tensor_v2" | "_rebuild_tensor" => self.rebuild_tensor(args),
            "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
                Ok(args.first().copied().unwrap_or(Value::Opaque))
            }
            // Its storage is one of bytes, and the type of elements is the 7th argument.
            "_rebuild_tensor_v3" => {
                let dtype =
                    args.get(6).and_then(|dtype| if let Value::Global(_, name) = dtype { Some(*name) } else { None });
                Ok(self.object(Object::OtherTensor(dtype.unwrap_or("an unknown type"))))
            }
            "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" => Ok(self.object(Object::OtherTensor("sparse"))),
            "_rebuild_qtensor" => Ok(self.object(Object::OtherTensor("quantised"))),
            "_rebuild_nested_tensor" => Ok(self.object(Object::OtherTensor("nested"))),
            "_rebuild_meta_tensor_no_storage" => Ok(self.object(Object::OtherTensor("without values"))),
            _ if name.starts_with("_rebuild_") && name.contains("tensor") => {
                Ok(self.object(Object::OtherTensor("of another device or class")))
            }
            "_rebuild_wrapper_subclass" => Ok(self.object(Object::OtherTensor("of another class"))),
            _ => Ok(Value::Opaque),
        }
    }

    /// `OrderedDict()`, or `OrderedDict([[key, value], …])` as Python 2 writes it.
    fn ordered_dict(&mut self, args: &[Value<'a>]) -> Result<Value<'a>, FormatError> {
        let Some(pairs) = args.first() else { return Ok(self.object(Object::Dict(Vec::new()))) };
        let num_pairs = self.items(*pairs).map_or(0, <[Value<'a>]>::len);
        self.count_copied(num_pairs)?;
        let pairs = self.items(*pairs).unwrap_or_default();
        let pair = |pair: &Value<'a>| match self.items(*pair) {
            Some(&[key, value]) => Some((key, value)),
            _ => None,
        };
        let pairs: Option<Vec<_>> = pairs.iter().map(pair).collect();
        let pairs = pairs.ok_or(self.bad("the arguments of a dictionary are not pairs"))?;
        Ok(self.object(Object::Dict(pairs)))
    }

    /// `_rebuild_tensor_v2(storage, storage_offset, size, stride, …)`.
    fn rebuild_tensor(&mut self, args: &[Value<'a>]) -> Result<Value<'a>, FormatError> {
        let bad = self.bad("the arguments of a tensor are not a storage, an offset, a size and strides");
        let &[storage, Value::Int(offset), size, stride, ..] = args else { return Err(bad) };
        let Value::Object(id) = storage else {
            return Ok(self.object(Object::OtherTensor("in a storage of another program")));
        };
        let storage = match self.objects[id] {
            Object::Storage(storage) => storage,
            Object::OtherStorage(class) => return Ok(self.object(Object::OtherTensor(other_kind(class)))),
            Object::Tuple(_) | Object::List(_) | Object::Dict(_) | Object::Tensor(_) | Object::OtherTensor(_) => {
                return Err(bad);
            }
        };
        let whole = |items: &[Value<'a>]| -> Option<Vec<usize>> {
            if items.len() > MAX_DIMS {
                return None;
            }
            let number = |value: &Value<'a>| if let Value::Int(n) = *value { usize::try_from(n).ok() } else { None };
            items.iter().map(number).collect()
        };
        let offset = usize::try_from(offset).ok();
        let shape = self.tuple(size).and_then(whole);
        let stride = self.tuple(stride).and_then(whole);
        let (Some(offset), Some(shape), Some(stride)) = (offset, shape, stride) else { return Err(bad) };
        if shape.len() != stride.len() {
            return Err(bad);
        }
        Ok(self.object(Object::Tensor(TensorRef { storage, offset, shape, stride })))
    }

    /// `('storage', storage type, key, location, number of elements[, view])`.
    pub(super) fn persistent(&mut self, id: Value<'a>) -> Result<Value<'a>, FormatError> {
        let items = self.tuple(id).unwrap_or_default();
        let &[Value::Str("storage"), Value::Global(module, name), Value::Str(key), _, Value::Int(numel), ref view @ ..] =
            items
        else {
            return Err(self.bad("a persistent id is not a storage"));
        };
        if view.iter().any(|value| *value != Value::None) {
            return Err(self.bad("a storage is a view of another one, as written by PyTorch before 0.4"));
        }
        let Some(dtype) = storage_dtype(module, name) else { return Ok(self.object(Object::OtherStorage(name))) };
        let numel = usize::try_from(numel).map_err(|_negative| self.bad("a storage has a negative size"))?;
        Ok(self.object(Object::Storage(Storage { key, dtype, numel })))
    }

    /// Returns the items of a tuple or list.
    fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Object(id) => match &self.objects[id] {
                Object::Tuple(items) | Object::List(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    fn tuple(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Object(id) => match &self.objects[id] {
                Object::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Returns what the tensors of a storage are whose class is not that of a [`Dtype`].
fn other_kind(class: &str) -> &str {
    match class {
        "ComplexFloatStorage" => "complex64",
        "ComplexDoubleStorage" => "complex128",
        "QInt8Storage" | "QUInt8Storage" | "QInt32Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => "quantised",
        class => class,
    }
}

fn storage_dtype(module: &str, name: &str) -> Option<Dtype> {
    if module != "torch" && module != "torch.cuda" {
        return None;
    }
    Some(match name {
        "BoolStorage" => Dtype::Bool,
        "ByteStorage" => Dtype::U8,
        "CharStorage" => Dtype::I8,
        "ShortStorage" => Dtype::I16,
        "IntStorage" => Dtype::I32,
        "LongStorage" => Dtype::I64,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "FloatStorage" => Dtype::F32,
        "DoubleStorage" => Dtype::F64,
        _ => return None,
    })
}
