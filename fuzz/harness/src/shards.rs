//! Any bytes as a folder of sharded weights: tensors of bounded size from files of the folder, or an error.
//!
//! The first line of the input is the index, the rest is the first shard.

use crate::safetensors::assert_bounded;
use crate::scratch;
use pipe_weights::Checkpoint;

const INDEX: &str = "m.safetensors.index.json";
const FILES: [&str; 3] = ["m-1.safetensors", "m-2.safetensors", INDEX];

pub(crate) fn run(data: &[u8]) {
    if data.len() > 1 << 18 {
        return;
    }
    let line = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (index, shard) = (&data[..line], data.get(line + 1..).unwrap_or_default());
    let folder = scratch::folder();
    let second = tensor("b");
    for (name, content) in FILES.into_iter().zip([shard, &second, index]) {
        fs_err::write(folder.path().join(name), content).expect("written");
    }
    // Outside of the folder of the weights, so that no index may read it.
    fs_err::write(folder.path().join("secret"), tensor("secret")).expect("written");
    let Ok(checkpoint) = Checkpoint::open_folder(folder.path(), &FILES) else { return };
    assert!(!checkpoint.tensors.contains_key("secret"), "a file was read that is not one of the folder");
    assert_bounded(&checkpoint, data.len() + second.len());
}

/// Returns a safetensors file of one tensor.
fn tensor(name: &str) -> Vec<u8> {
    let json = format!("{{\"{name}\":{{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}}}");
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &[0; 8]].concat()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seed =
        |map: &str| [format!("{{\"metadata\":{{}},\"weight_map\":{{{map}}}}}\n").as_bytes(), &tensor("a")].concat();
    vec![
        seed("\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\""),
        seed("\"a\":\"m-1.safetensors\""),
        seed("\"a\":\"m-1.safetensors\",\"secret\":\"secret\""),
    ]
}
