//! [`Checkpoint::open_folder`]: the weights of a folder as Hugging Face publishes them, in one file or in shards with an index.

use crate::error::{FormatError, WeightsError};
use crate::{Checkpoint, Origin};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Extensions of files with tensors, the preferred ones first.
const EXTENSIONS: [&str; 5] = ["safetensors", "pth", "pt", "bin", "ckpt"];

/// The maximum size of an index: a million tensors.
const MAX_INDEX_BYTES: u64 = 256 << 20;

impl Checkpoint {
    /// Reads the weights of the folder `root`. `files` are the paths of its files below it; no other file is read, whatever an index
    /// names. Files in folders below `root` are ignored.
    ///
    /// # Errors
    /// [`WeightsError::Folder`] if there is no file of weights or if it is unclear which one is meant, and the errors of [`Self::open`].
    pub fn open_folder(root: &Path, files: &[&str]) -> Result<Self, WeightsError> {
        let candidates = candidates(files);
        let folder_error = |message: String| WeightsError::Folder { path: root.into(), message };
        let Some((taken, others)) = candidates.split_first() else {
            let message =
                format!("it has no file whose name ends with {}", EXTENSIONS.map(|ext| format!(".{ext}")).join(", "));
            return Err(folder_error(message));
        };
        if let Some(equal) = others.iter().find(|other| other.rank == taken.rank) {
            let message = format!("it has `{}` and `{}`; name the file itself", taken.name, equal.name);
            return Err(folder_error(message));
        }
        let path = root.join(taken.name);
        let mut checkpoint = if taken.is_index { read_shards(root, &path, files)? } else { Self::open(&path)? };
        checkpoint.origin.file = Some(taken.name.to_owned());
        checkpoint.origin.other_files = others.iter().map(|other| other.name.to_owned()).collect();
        Ok(checkpoint)
    }
}

/// A file that may hold the weights of a folder, or the index of its shards.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    /// Lower is preferred.
    rank: usize,
    name: &'a str,
    is_index: bool,
}

/// Returns the files of weights in the preferred order. Shards, which have an index of the same format, are not among them.
fn candidates<'a>(files: &[&'a str]) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for (at, ext) in EXTENSIONS.iter().enumerate() {
        let index = format!(".{ext}.index.json");
        let of =
            |suffix: &str| files.iter().copied().filter(|name| name.ends_with(suffix) && !name.contains('/')).collect();
        let (indexes, plain): (Vec<&str>, Vec<&str>) = (of(&index), of(&format!(".{ext}")));
        let is_index = !indexes.is_empty();
        let names = if is_index { indexes } else { plain };
        found.extend(names.into_iter().map(|name| Candidate { rank: at, name, is_index }));
    }
    found.sort();
    found
}

/// The index of sharded weights.
#[derive(Deserialize)]
struct Index {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

/// Reads every shard that the index names, one at a time.
fn read_shards(root: &Path, index_path: &Path, files: &[&str]) -> Result<Checkpoint, WeightsError> {
    let broken = |source: FormatError| WeightsError::Broken { path: index_path.into(), source };
    if fs_err::metadata(index_path)?.len() > MAX_INDEX_BYTES {
        return Err(broken(FormatError::part("the index", "it is larger than any real one")));
    }
    let index: Index = serde_json::from_slice(&fs_err::read(index_path)?)
        .map_err(|error| broken(FormatError::part("the index", error.to_string())))?;
    let shards: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    let mut all = Checkpoint::default();
    for shard in shards {
        if shard.contains('/') || !files.contains(&shard) {
            return Err(broken(FormatError::part(format!("shard `{shard}`"), "it is not a file of the folder")));
        }
        let Checkpoint { tensors, origin } = Checkpoint::open(&root.join(shard))?;
        let Origin { wrapper, other_wrappers, not_tensors, unsupported, .. } = origin;
        all.origin.wrapper = all.origin.wrapper.or(wrapper);
        all.origin.other_wrappers.extend(other_wrappers);
        all.origin.not_tensors.extend(not_tensors);
        all.origin.unsupported.extend(unsupported);
        for (name, tensor) in tensors {
            if index.weight_map.get(&name).is_none_or(|file| file != shard) {
                let message = format!("the index does not say that it is in `{shard}`, where it was found");
                return Err(broken(FormatError::part(format!("tensor `{name}`"), message)));
            }
            all.insert(&name, tensor).map_err(broken)?;
        }
    }
    match index.weight_map.iter().find(|(name, _)| !all.tensors.contains_key(*name)) {
        Some((name, shard)) => Err(broken(FormatError::part(
            format!("tensor `{name}`"),
            format!("it is not in `{shard}`, where the index has it"),
        ))),
        None => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{tensors, zip_file};
    use crate::{Tensor, write_safetensors};

    /// A folder with files of one kind or another.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn safe(self, file: &str, names: &[&str]) -> Self {
            let tensors = names.iter().map(|name| ((*name).to_owned(), Tensor::from_f32(vec![1], &[1.0]))).collect();
            write_safetensors(&self.0.path().join(file), &tensors).expect("written");
            self
        }

        fn pickle(self, file: &str, names: &[&str]) -> Self {
            fs_err::write(self.0.path().join(file), zip_file(&tensors(names))).expect("written");
            self
        }

        fn text(self, file: &str, text: &str) -> Self {
            fs_err::write(self.0.path().join(file), text).expect("written");
            self
        }

        fn index(self, file: &str, map: &[(&str, &str)]) -> Self {
            let map: BTreeMap<&str, &str> = map.iter().copied().collect();
            let text = serde_json::json!({ "metadata": { "total_size": 8 }, "weight_map": map }).to_string();
            self.text(file, &text)
        }

        fn open(&self) -> Result<Checkpoint, String> {
            let entries = fs_err::read_dir(self.0.path()).expect("a folder");
            let mut files: Vec<String> =
                entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
            files.sort();
            files.push("below/other.safetensors".to_owned());
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let path = self.0.path().display().to_string();
            Checkpoint::open_folder(self.0.path(), &files).map_err(|error| {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                format!("{}{source}", error.to_string().replace(&path, "DIR"))
            })
        }

        #[track_caller]
        fn check(&self, names: &[&str], file: &str, others: &[&str]) {
            let Checkpoint { tensors, origin } = self.open().expect("weights");
            assert_eq!(tensors.keys().map(String::as_str).collect::<Vec<_>>(), names);
            assert_eq!(
                (origin.file.as_deref(), origin.other_files),
                (Some(file), others.iter().map(|other| (*other).to_owned()).collect())
            );
        }
    }

    #[test]
    fn the_only_file_of_weights_is_read() {
        Folder::new().safe("model.safetensors", &["a"]).text("config.json", "{}").check(
            &["a"],
            "model.safetensors",
            &[],
        );
        Folder::new().pickle("pytorch_model.bin", &["a"]).check(&["a"], "pytorch_model.bin", &[]);
        let both = Folder::new().safe("model.safetensors", &["a"]).pickle("pytorch_model.bin", &["b"]);
        both.check(&["a"], "model.safetensors", &["pytorch_model.bin"]);
    }

    #[test]
    fn shards_are_read_by_their_index() {
        let map =
            [("a", "model-1-of-2.safetensors"), ("b", "model-2-of-2.safetensors"), ("c", "model-1-of-2.safetensors")];
        let folder = Folder::new()
            .safe("model-1-of-2.safetensors", &["a", "c"])
            .safe("model-2-of-2.safetensors", &["b"])
            .index("model.safetensors.index.json", &map)
            .pickle("pytorch_model.bin", &["x"]);
        folder.check(&["a", "b", "c"], "model.safetensors.index.json", &["pytorch_model.bin"]);
        let map = [("a", "m-1.bin"), ("b", "m-2.bin")];
        let folder = Folder::new().pickle("m-1.bin", &["a"]).pickle("m-2.bin", &["b"]);
        folder.index("m.bin.index.json", &map).check(&["a", "b"], "m.bin.index.json", &[]);
    }

    #[test]
    fn folders_without_one_set_of_weights_are_refused() {
        let check = |folder: Folder, expect: &str| {
            let error = folder.open().expect_err("an error");
            assert!(error.contains(expect), "{error}");
        };
        check(
            Folder::new().text("config.json", "{}"),
            "the folder DIR: it has no file whose name ends with .safetensors, .pth",
        );
        check(
            Folder::new().safe("a.safetensors", &["a"]).safe("b.safetensors", &["a"]),
            "the folder DIR: it has `a.safetensors` and `b.safetensors`; name the file itself",
        );
        let one = || Folder::new().safe("m-1.safetensors", &["a"]);
        let index = "m.safetensors.index.json";
        check(one().text(index, "{"), "m.safetensors.index.json is broken: the index: EOF");
        check(one().text(index, "{}"), "missing field `weight_map`");
        check(
            one().index(index, &[("a", "m-1.safetensors"), ("b", "m-2.safetensors")]),
            "shard `m-2.safetensors`: it is not a file of the folder",
        );
        check(
            one().index(index, &[("a", "../m-1.safetensors")]),
            "shard `../m-1.safetensors`: it is not a file of the folder",
        );
        check(one().index(index, &[("a", "below/other.safetensors")]), "it is not a file of the folder");
        check(
            one().index(index, &[("a", "m-1.safetensors"), ("b", "m-1.safetensors")]),
            "tensor `b`: it is not in `m-1.safetensors`, where the index has it",
        );
        check(
            one()
                .safe("m-2.safetensors", &["a", "b"])
                .index(index, &[("a", "m-1.safetensors"), ("b", "m-2.safetensors")]),
            "tensor `a`: the index does not say that it is in `m-2.safetensors`, where it was found",
        );
    }
}
