//! [`HfConfig`]: the `config.json` beside the weights of Hugging Face.

use crate::error::{FormatError, WeightsError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const FILE: &str = "config.json";
/// The maximum size of a file in bytes. That of a network with 20,000 classes has 1 MB.
const MAX_BYTES: u64 = 16 << 20;
/// The maximum number of classes.
const MAX_CLASSES: usize = 1_000_000;

/// The `config.json` beside the weights of Hugging Face.
#[derive(Debug, Clone, PartialEq)]
pub struct HfConfig {
    /// All values by key, such as `hidden_size` and `layer_norm_eps`.
    pub values: Map<String, Value>,
    /// The class names of `id2label` in the order of their numbers, if it has one.
    pub labels: Option<Vec<String>>,
}

impl HfConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`WeightsError::Broken`] if it is not a JSON object, too large, or if `id2label` does not name each class from 0 on once.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let mut bytes = Vec::new();
        fs_err::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Self::parse(&bytes).map_err(|source| WeightsError::Broken { path: path.into(), source })
    }

    /// Reads the `config.json` of a folder with these files, if there is one.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn of_folder(root: &Path, files: &[&str]) -> Result<Option<Self>, WeightsError> {
        files.contains(&FILE).then(|| Self::open(&root.join(FILE))).transpose()
    }

    /// Parses the content of a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(FormatError::part("the configuration", format!("it is larger than {MAX_BYTES} bytes")));
        }
        let values: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| FormatError::part("the configuration", error.to_string()))?;
        let labels = values.get("id2label").filter(|labels| !labels.is_null()).map(labels).transpose()?;
        Ok(Self { values, labels })
    }
}

/// Reads `{"0": "name", "1": "name", …}`.
fn labels(value: &Value) -> Result<Vec<String>, FormatError> {
    let error = |message: String| FormatError::part("`id2label`", message);
    let entries = value.as_object().ok_or_else(|| error("it is not an object of numbers and names".to_owned()))?;
    if entries.len() > MAX_CLASSES {
        return Err(error(format!("it has more than {MAX_CLASSES} classes")));
    }
    let mut by_number = BTreeMap::new();
    for (number, name) in entries {
        let index: usize = number.parse().map_err(|_| error(format!("`{number}` is not the number of a class")))?;
        let name = name.as_str().ok_or_else(|| error(format!("the name of class {index} is not a text")))?;
        if by_number.insert(index, name.to_owned()).is_some() {
            return Err(error(format!("class {index} has two names")));
        }
    }
    match by_number.keys().enumerate().find(|(expected, index)| expected != *index) {
        Some((expected, _)) => Err(error(format!("it has {} classes, but none of number {expected}", entries.len()))),
        None => Ok(by_number.into_values().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<Option<&[&str]>, &str>) {
        let found = HfConfig::parse(text.as_bytes()).map(|config| config.labels).map_err(|error| error.to_string());
        let expect = expect.map(|labels| labels.map(|labels| labels.iter().map(|name| (*name).to_owned()).collect()));
        match expect {
            Ok(labels) => assert_eq!(found, Ok(labels)),
            Err(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{found:?}"),
        }
    }

    #[test]
    fn class_names_are_in_the_order_of_their_numbers() {
        check(
            r#"{"id2label": {"10": "k", "0": "a", "1": "b", "2": "c", "3": "d", "4": "e", "5": "f", "6": "g", "7": "h", "8": "i", "9": "j"}}"#,
            Ok(Some(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"])),
        );
        check(r#"{"hidden_size": 768, "id2label": null}"#, Ok(None));
        check("{}", Ok(None));
    }

    #[test]
    fn malformed_files_are_errors() {
        check("[]", Err("the configuration: invalid type"));
        check("", Err("the configuration: EOF"));
        check(r#"{"id2label": ["a"]}"#, Err("`id2label`: it is not an object"));
        check(r#"{"id2label": {"0": "a", "2": "c"}}"#, Err("it has 2 classes, but none of number 1"));
        check(r#"{"id2label": {"0": "a", "00": "c"}}"#, Err("class 0 has two names"));
        check(r#"{"id2label": {"-1": "a"}}"#, Err("`-1` is not the number of a class"));
        check(r#"{"id2label": {"0": 5}}"#, Err("the name of class 0 is not a text"));
        check(&format!("{{\"a\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000)), Err("recursion limit"));
        check(&" ".repeat((MAX_BYTES + 1) as usize), Err("it is larger than"));
    }
}
