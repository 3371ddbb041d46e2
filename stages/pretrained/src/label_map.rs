//! [`read`]: the names of the classes of a network from a file.
//!
//! ```text
//! label_map_k400.txt   abseiling                      the line number is the class index, from 0
//! classInd.txt         1 ApplyEyeMakeup               numbers start at 0 or 1
//! config.json          {"id2label": {"0": "abseiling", "1": "air drumming"}}
//! labels.json          {"Approaching something": "0"}, or ["abseiling", "air drumming"]
//! ```

use crate::PretrainedError;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The maximum size of a file of class names. The largest vocabularies have some ten thousand names.
const MAX_BYTES: u64 = 64 << 20;

/// Reads the names of the classes, in the order of their indices.
pub(crate) fn read(path: &Path) -> Result<Vec<String>, PretrainedError> {
    let classes = if is_json(path) { from_json(&read_json(path)?) } else { from_text(&text(path)?) };
    classes.map_err(|message| error(path, message))
}

fn error(path: &Path, message: String) -> PretrainedError {
    PretrainedError::LabelMap { path: path.into(), message }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn read_json(path: &Path) -> Result<Value, PretrainedError> {
    serde_json::from_str(&text(path)?).map_err(|source| error(path, format!("it is not valid JSON: {source}")))
}

/// Returns the content without a byte order mark.
fn text(path: &Path) -> Result<String, PretrainedError> {
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(error(path, "it is larger than any list of names".into()));
    }
    let text = String::from_utf8(bytes).map_err(|bad| {
        let line = bad.as_bytes()[..bad.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        error(path, format!("line {line} is not UTF-8"))
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// Lines of names, or of `number name` if every line begins with a number.
fn from_text(text: &str) -> Result<Vec<String>, String> {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim).collect();
    if let Some(at) = lines.iter().position(|line| line.is_empty()) {
        return Err(format!("line {} is empty", at + 1));
    }
    let numbered: Option<Vec<(u32, String)>> = lines.iter().map(|line| numbered(line)).collect();
    match numbered {
        Some(numbered) if !numbered.is_empty() => in_order(numbered),
        Some(_) => Err("it is empty".into()),
        None => Ok(lines.into_iter().map(str::to_owned).collect()),
    }
}

/// Splits `1 ApplyEyeMakeup`.
fn numbered(line: &str) -> Option<(u32, String)> {
    let (number, name) = line.split_once([' ', '\t'])?;
    Some((number.parse().ok()?, name.trim().to_owned()))
}

/// A list of names, or a map in which either all keys or all values are numbers.
fn from_json(value: &Value) -> Result<Vec<String>, String> {
    const EXPECTED: &str = "expected a list of names, or a map such as {\"0\": \"name\"} or {\"name\": 0}";
    match value {
        Value::Object(map) if map.contains_key("id2label") => from_json(&map["id2label"]),
        Value::Array(names) if !names.is_empty() => {
            let names: Option<Vec<String>> = names.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
            names.ok_or_else(|| EXPECTED.into())
        }
        Value::Object(map) if !map.is_empty() => {
            let by_key: Option<Vec<_>> =
                map.iter().map(|(key, value)| Some((key.parse().ok()?, value.as_str()?.to_owned()))).collect();
            let by_value: Option<Vec<_>> = map.iter().map(|(key, value)| Some((number(value)?, key.clone()))).collect();
            match (by_key, by_value) {
                (Some(_), Some(_)) => Err("both the keys and the values are numbers".into()),
                (Some(numbered), None) | (None, Some(numbered)) => in_order(numbered),
                (None, None) => Err(EXPECTED.into()),
            }
        }
        Value::Array(_) | Value::Object(_) => Err("it is empty".into()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(EXPECTED.into()),
    }
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        _ => value.as_u64()?.try_into().ok(),
    }
}

/// Sorts names by their numbers, which start at 0 or 1 and have no gaps.
fn in_order(numbered: Vec<(u32, String)>) -> Result<Vec<String>, String> {
    let mut names = BTreeMap::new();
    for (number, name) in numbered {
        if let Some(other) = names.insert(number, name.clone()) {
            return Err(format!("the number {number} has two names, `{other}` and `{name}`"));
        }
    }
    let first = u32::from(!names.contains_key(&0));
    match (first..).zip(names.keys()).find(|(expected, found)| expected != *found) {
        Some((expected, _)) => Err(format!("no class has the number {expected}, but there are larger numbers")),
        None => Ok(names.into_values().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, content: &[u8], expect: Result<&[&str], &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(file);
        fs_err::write(&path, content).expect("written");
        match (read(&path), expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(error), Err(expect)) => {
                assert_eq!(error.to_string(), format!("{} does not name the classes: {expect}", path.display()));
            }
            (found, expect) => panic!("{file}: {found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn lines_are_names_or_numbered_names() {
        check("a.txt", b"abseiling\r\nair drumming\n\n", Ok(&["abseiling", "air drumming"]));
        check("a.txt", "\u{feff}1 B\n0 A\n".as_bytes(), Ok(&["A", "B"]));
        check("a.txt", b"1\tB b\n2\tA\n", Ok(&["B b", "A"]));
        // Not every line begins with a number.
        check("a.txt", b"100 metres\nlong jump\n", Ok(&["100 metres", "long jump"]));
    }

    #[test]
    fn wrong_lines_are_named() {
        check("a.txt", b"", Err("it is empty"));
        check("a.txt", b"a\n\nb\n", Err("line 2 is empty"));
        check("a.txt", b"a\nb\xff\n", Err("line 2 is not UTF-8"));
        check("a.txt", b"0 a\n2 b\n", Err("no class has the number 1, but there are larger numbers"));
        check("a.txt", b"0 a\n0 b\n", Err("the number 0 has two names, `a` and `b`"));
    }

    #[test]
    fn json_is_a_list_or_a_map() {
        check("a.json", br#"["a", "b"]"#, Ok(&["a", "b"]));
        check("a.json", br#"{"1": "b", "0": "a"}"#, Ok(&["a", "b"]));
        check("a.JSON", br#"{"b": "1", "a": 0}"#, Ok(&["a", "b"]));
        check("a.json", br#"{"model_type": "videomae", "id2label": {"10": "c", "0": "a", "1": "b"}}"#, {
            Err("no class has the number 2, but there are larger numbers")
        });
        check("a.json", br#"{"0": "1"}"#, Err("both the keys and the values are numbers"));
        check("a.json", b"{}", Err("it is empty"));
        let expected = r#"expected a list of names, or a map such as {"0": "name"} or {"name": 0}"#;
        check("a.json", br#"{"0": ["n01440764", "tench"]}"#, Err(expected));
        check("a.json", b"[1]", Err(expected));
        check("a.json", b"{", Err("it is not valid JSON: EOF while parsing an object at line 1 column 1"));
    }
}
