//! The format of `torch.save` before PyTorch 1.6: five pickles (magic number, version, properties of the machine, the object, the keys
//! of its storages), then each storage as a 64-bit number of elements followed by the elements.
//!
//! ```text
//! 80 02 8a 0a 6c fc 9c 46 f9 20 6a a8 50 19 2e    the magic number 0x1950a86a20f9469cfc6c
//! 80 02 4d e9 03 2e                               version 1001
//! ```

use crate::error::FormatError;
use crate::pickle::{self, Value};
use crate::{Checkpoint, state_dict};
use std::collections::BTreeMap;

/// The first bytes of such a file: the pickle of the magic number.
pub(crate) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";
const VERSION: i64 = 1001;

pub(crate) fn read(data: &[u8]) -> Result<Checkpoint, FormatError> {
    let mut at = MAGIC.len();
    let mut next = || -> Result<_, FormatError> {
        let pickle = pickle::run(&data[at..])?;
        at += pickle.len;
        Ok(pickle)
    };
    let version = next()?;
    if version.value != Value::Int(VERSION) {
        return Err(FormatError::part("the header", format!("its version is not {VERSION}")));
    }
    let machine = next()?;
    let little = (Value::Str("little_endian"), Value::Bool(true));
    if !machine.dict(machine.value).is_some_and(|facts| facts.contains(&little)) {
        return Err(FormatError::part("the header", "its values are not little-endian"));
    }
    let object = next()?;
    let keys = next()?;
    let keys = keys.list(keys.value).ok_or_else(|| FormatError::part("the list of storages", "it is not a list"))?;
    let sizes = object.storages().map(|storage| (storage.key, storage.dtype.size_bytes())).collect();
    let storages = storages(data, at, keys, &sizes)?;
    state_dict::read(&object, data.len(), |key| {
        storages
            .get(key)
            .copied()
            .ok_or_else(|| FormatError::part(format!("storage `{key}`"), "it is missing from the file"))
    })
}

/// Splits the rest of the file into storages. Only the pickle has the sizes of their elements.
fn storages<'a>(
    data: &'a [u8],
    mut at: usize,
    keys: &[Value<'a>],
    sizes: &BTreeMap<&str, usize>,
) -> Result<BTreeMap<&'a str, &'a [u8]>, FormatError> {
    let mut storages = BTreeMap::new();
    for key in keys {
        let Value::Str(key) = *key else {
            return Err(FormatError::part("the list of storages", "an entry is not a key"));
        };
        let Some(size) = sizes.get(key) else {
            return Err(FormatError::part(format!("storage `{key}`"), "the size of its elements is unknown"));
        };
        let ends_early = || FormatError::Truncated { len: data.len(), what: "a storage" };
        let count = data[at..].first_chunk::<8>().ok_or_else(ends_early)?;
        at += 8;
        let len = usize::try_from(i64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(*size));
        let end = len.and_then(|len| len.checked_add(at)).filter(|&end| end <= data.len()).ok_or_else(ends_early)?;
        storages.insert(key, &data[at..end]);
        at = end;
    }
    Ok(storages)
}
