//! The few calls that build tensors, and the references to their storages.

use super::machine::Machine;
use super::{Object, Storage, TensorRef, Value};
use crate::error::FormatError;
use crate::tensor::Dtype;

impl<'a> Machine<'a> {
    /// Returns the result of calling `function`, for the few functions that build tensors.
    pub(super) fn reduce(&mut self, function: Value<'a>, args: Value<'a>) -> Result<Value<'a>, FormatError> {
        let Value::Global(module, name) = function else { return Ok(Value::Opaque) };
        let args = self.tuple(args).ok_or(self.bad("the arguments of a call are not a tuple"))?.to_vec();
        match (module, name) {
            ("collections", "OrderedDict") if args.is_empty() => Ok(self.object(Object::Dict(Vec::new()))),
            ("torch._utils", "_rebuild_tensor_v2") => self.rebuild_tensor(&args),
            ("torch._utils", "_rebuild_parameter") | ("torch", "Size") => {
                Ok(args.first().copied().unwrap_or(Value::Opaque))
            }
            _ => Ok(Value::Opaque),
        }
    }

    /// `_rebuild_tensor_v2(storage, storage_offset, size, stride, …)`.
    fn rebuild_tensor(&mut self, args: &[Value<'a>]) -> Result<Value<'a>, FormatError> {
        let bad = self.bad("the arguments of a tensor are not a storage, an offset, a size and strides");
        let &[storage, Value::Int(offset), size, stride, ..] = args else { return Err(bad) };
        let Value::Object(id) = storage else { return Ok(Value::Opaque) }; // a storage of an unknown type
        let Object::Storage(storage) = self.objects[id] else { return Err(bad) };
        let whole = |items: &[Value<'a>]| -> Option<Vec<usize>> {
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
        let Some(dtype) = storage_dtype(module, name) else { return Ok(Value::Opaque) };
        let numel = usize::try_from(numel).map_err(|_negative| self.bad("a storage has a negative size"))?;
        Ok(self.object(Object::Storage(Storage { key, dtype, numel })))
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
