//! Paths as JSON: a text, or the array of the bytes of a path that is not UTF-8. A project may be in a folder of any name.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A path in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Json<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes(Vec<u8>),
}

impl<'a> From<&'a Path> for Json<'a> {
    fn from(path: &'a Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.into()),
            None => Self::Bytes(path.as_os_str().as_bytes().to_vec()),
        }
    }
}

impl From<Json<'_>> for PathBuf {
    fn from(json: Json) -> Self {
        match json {
            Json::Text(text) => text.into_owned().into(),
            Json::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

/// Writes a path; for `#[serde(with)]`.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    Json::from(path).serialize(serializer)
}

/// Reads what [`serialize`] wrote.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Json::deserialize(deserializer).map(PathBuf::from)
}

/// A path that may be missing, which is `null`.
pub mod optional {
    use super::{Deserialize, Deserializer, Json, PathBuf, Serialize, Serializer};

    /// Writes a path; for `#[serde(with)]`.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(Json::from).serialize(serializer)
    }

    /// Reads what [`serialize`] wrote.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Json>::deserialize(deserializer)?.map(PathBuf::from))
    }
}

/// Paths in a list.
pub mod list {
    use super::{Deserialize, Deserializer, Json, PathBuf, Serializer};

    /// Writes paths; for `#[serde(with)]`.
    pub fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| Json::from(path.as_path())))
    }

    /// Reads what [`serialize`] wrote.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(Vec::<Json>::deserialize(deserializer)?.into_iter().map(PathBuf::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Info, Input};
    use std::collections::BTreeMap;

    #[test]
    fn any_path_arrives_as_it_was_sent() {
        let names: [&[u8]; 5] = [b"", b"a/b c", "/caf\u{e9}/\"\\".as_bytes(), b"/caf\xe9", b"\xff\xfe/\n"];
        for name in names {
            let path = PathBuf::from(OsString::from_vec(name.to_vec()));
            let input = Input {
                path: path.clone(),
                digest: String::new(),
                files: Some(path.clone()),
                media_root: Some(path.clone()).filter(|path| path.is_absolute()),
                left_out: BTreeMap::new(),
            };
            let json = serde_json::to_string(&input).expect("JSON");
            let back: Input = serde_json::from_str(&json).expect("the same");
            assert_eq!((&back.path, &back.files, &back.media_root), (&path, &input.files, &input.media_root), "{json}");
            let (kinds, tools) = (BTreeMap::new(), BTreeMap::new());
            let info = Info { protocol: 0, kinds, tools, libraries: vec![path.clone(), "/a".into()] };
            let back: Info = serde_json::from_str(&serde_json::to_string(&info).expect("JSON")).expect("the same");
            assert_eq!(back.libraries, info.libraries);
        }
    }
}
