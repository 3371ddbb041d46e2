//! [`Tensor`]: the values of a checkpoint, as bytes in row-major order.

use half::{bf16, f16};

/// A tensor in memory, contiguous and little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// The sizes of all axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// The type of an element.
    pub dtype: Dtype,
    /// All elements in row-major order.
    pub bytes: Vec<u8>,
}

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of PyTorch and safetensors")]
pub enum Dtype {
    Bool,
    U8,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl Dtype {
    /// Returns whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::I16 | Self::I32 | Self::I64 => false,
            Self::F16 | Self::BF16 | Self::F32 | Self::F64 => true,
        }
    }

    /// Returns the name in lower case, such as `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Returns the size of an element in bytes.
    pub fn size_bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

impl Tensor {
    /// Creates a tensor of 32-bit floats from row-major values. Their number must be the product of `shape`.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Self {
        debug_assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "the number of values is the product of the shape"
        );
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { shape, dtype: Dtype::F32, bytes }
    }

    /// Returns the elements as 32-bit floats; wider types are rounded.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::Bool | Dtype::U8 => self.bytes.iter().map(|&byte| f32::from(byte)).collect(),
            Dtype::I8 => self.elements().map(|bytes| f32::from(i8::from_le_bytes(bytes))).collect(),
            Dtype::I16 => self.elements().map(|bytes| f32::from(i16::from_le_bytes(bytes))).collect(),
            Dtype::I32 => self.elements().map(|bytes| i32::from_le_bytes(bytes) as f32).collect(),
            Dtype::I64 => self.elements().map(|bytes| i64::from_le_bytes(bytes) as f32).collect(),
            Dtype::F16 => self.elements().map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::BF16 => self.elements().map(|bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::F32 => self.elements().map(f32::from_le_bytes).collect(),
            Dtype::F64 => self.elements().map(|bytes| f64::from_le_bytes(bytes) as f32).collect(),
        }
    }

    fn elements<const SIZE: usize>(&self) -> impl Iterator<Item = [u8; SIZE]> {
        self.bytes.as_chunks::<SIZE>().0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dtype: Dtype, bytes: &[u8], expect: &[f32]) {
        let tensor = Tensor { shape: vec![expect.len()], dtype, bytes: bytes.into() };
        assert_eq!(tensor.to_f32(), expect, "{dtype:?}");
    }

    #[test]
    fn every_type_is_converted_to_f32() {
        check(Dtype::Bool, &[1, 0], &[1.0, 0.0]);
        check(Dtype::U8, &[255], &[255.0]);
        check(Dtype::I8, &[255], &[-1.0]);
        check(Dtype::I16, &(-2i16).to_le_bytes(), &[-2.0]);
        check(Dtype::I32, &7i32.to_le_bytes(), &[7.0]);
        check(Dtype::I64, &(-9i64).to_le_bytes(), &[-9.0]);
        check(Dtype::F16, &[0x00, 0x3c], &[1.0]);
        check(Dtype::BF16, &[0x80, 0x3f], &[1.0]);
        check(Dtype::F32, &0.5f32.to_le_bytes(), &[0.5]);
        check(Dtype::F64, &0.25f64.to_le_bytes(), &[0.25]);
    }
}
