//! Label maps, which name the classes: [`read`].
//!
//! ```text
//! label_map_k400.txt     abseiling                                       the line number is the class index, from 0
//! wlasl_class_list.txt   0<tab>book
//! classInd.txt           1 ApplyEyeMakeup
//! k400_labels_to_id.csv  id,name                                         then 0,abseiling
//! action_name.csv        action                                          then one name per line
//! …-labels.json          {"Approaching something with your camera":"0",
//! ```

use crate::csv;
use crate::json;
use crate::lists::{ClassList, ListFile, Location, Sink, shorten};
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads a label map; the extension of the file decides how. Wrong lines are errors of `sink`.
pub(crate) fn read(file: &ListFile, sink: &mut Sink) -> ClassList {
    match file.extension() {
        Some("json") => from_json(file, sink),
        Some("csv") => from_csv(file, sink),
        _ => from_lines(file, sink),
    }
}

/// Reads lines of `number name`. Numbers start at `first`; if that is `None`, at 0 or 1.
pub(crate) fn numbered(file: &ListFile, first: Option<u32>, sink: &mut Sink) -> ClassList {
    let mut numbers = NumberedClasses::new(first);
    for (line, text) in file.lines(sink) {
        match split_number(text) {
            Some((number, name)) => numbers.add(number, name, file.location(line), sink),
            None => sink.error(
                file.location(line),
                format!("`{}` is not a valid line", shorten(text)),
                "expected a number and a name, such as `1 ApplyEyeMakeup`",
            ),
        }
    }
    numbers.finish(file, sink)
}

/// If the first line starts with 0 or 1, all lines have numbers; otherwise none has.
fn from_lines(file: &ListFile, sink: &mut Sink) -> ClassList {
    let lines = file.lines(&mut Sink::default());
    let first = lines.first().and_then(|(_, text)| split_number(text));
    if first.is_some_and(|(number, _)| number == "0" || number == "1") {
        return numbered(file, None, sink);
    }
    let mut names = NamedClasses::default();
    for (line, text) in file.lines(sink) {
        names.add(text, file.location(line), sink);
    }
    names.finish(file, sink)
}

/// A column `id` (or `label`) contains numbers, the other one names. A single column contains names in class order.
fn from_csv(file: &ListFile, sink: &mut Sink) -> ClassList {
    let lines = file.lines(sink);
    let Some((_, header)) = lines.first() else { return NamedClasses::default().finish(file, sink) };
    let header: Vec<String> =
        csv::fields(header, ",").map(|fields| fields.iter().map(|f| f.to_lowercase()).collect()).unwrap_or_default();
    let numbered = match &header[..] {
        [_] => None,
        [id, _] if id == "id" || id == "label" => Some((0, 1)),
        [_, id] if id == "id" || id == "label" => Some((1, 0)),
        _ => {
            sink.error(
                file.location(1),
                "not a label map",
                "the first line must be `id,name`, or the name of a single column",
            );
            return ClassList::default();
        }
    };
    let (mut numbers, mut names) = (NumberedClasses::new(None), NamedClasses::default());
    for (line, text) in &lines[1..] {
        let location = file.location(*line);
        match (csv::fields(text, ","), numbered) {
            (Ok(fields), Some((id, name))) if fields.len() == 2 => {
                numbers.add(&fields[id], &fields[name], location, sink);
            }
            (Ok(fields), None) if fields.len() == 1 => names.add(&fields[0], location, sink),
            (Ok(fields), _) => {
                let message = format!("{} fields, but the first line has {}", fields.len(), header.len());
                sink.error(location, message, "put names that contain a comma in quotes");
            }
            (Err(message), _) => sink.error(location, message, csv::QUOTES_HELP),
        }
    }
    if numbered.is_some() { numbers.finish(file, sink) } else { names.finish(file, sink) }
}

/// A map from name to number or from number to name, or a list of names.
fn from_json(file: &ListFile, sink: &mut Sink) -> ClassList {
    let (mut numbers, mut names) = (NumberedClasses::new(None), NamedClasses::default());
    let mut listed = false;
    let read = json::rows(file, None, |row| {
        let location = file.location(row.line);
        match (row.key, &row.value) {
            (Some(key), Value::String(text)) if is_number(text) => numbers.add(text, &key, location, sink),
            (Some(key), Value::String(text)) if is_number(&key) => numbers.add(&key, text, location, sink),
            (Some(key), Value::Number(number)) => numbers.add(&number.to_string(), &key, location, sink),
            (None, Value::String(text)) => {
                listed = true;
                names.add(text, location, sink);
            }
            _ => sink.error(location, "not a class", "write `\"name\": number`, or a list of names"),
        }
    });
    if let Err((line, message)) = read {
        sink.error(file.location(line), message, "the label map must be valid JSON");
        return ClassList::default();
    }
    if listed { names.finish(file, sink) } else { numbers.finish(file, sink) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Splits `1 name`, `1<tab>name`, `1: name` and `1,name`.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', '\t', ':', ','])?;
    let (number, name) = (&text[..end], text[end..].trim_start_matches([' ', '\t', ':', ',']));
    (!number.is_empty() && !name.is_empty()).then_some((number, name))
}

/// Classes in the order of their names.
#[derive(Default)]
struct NamedClasses {
    list: ClassList,
    seen: BTreeMap<String, Location>,
}

impl NamedClasses {
    fn add(&mut self, name: &str, location: Location, sink: &mut Sink) {
        if let Some(first) = self.seen.get(name) {
            sink.error(location, format!("`{}` is already a class, at {first}", shorten(name)), "name each class once");
            return;
        }
        self.seen.insert(name.to_owned(), location.clone());
        self.list.names.push(name.to_owned());
        self.list.locations.push(location);
    }

    fn finish(self, file: &ListFile, sink: &mut Sink) -> ClassList {
        if self.list.names.is_empty() {
            sink.error(file.location(1), "the file names no classes", "write one per line");
        }
        self.list
    }
}

/// Classes with numbers, in any order.
struct NumberedClasses {
    first: Option<u32>,
    by_number: BTreeMap<u32, (String, Location)>,
    by_name: BTreeMap<String, u32>,
}

impl NumberedClasses {
    fn new(first: Option<u32>) -> Self {
        Self { first, by_number: BTreeMap::new(), by_name: BTreeMap::new() }
    }

    fn add(&mut self, number: &str, name: &str, location: Location, sink: &mut Sink) {
        let least = self.first.unwrap_or(0);
        let Some(number) = number.parse::<u32>().ok().filter(|number| *number >= least) else {
            let help = format!("classes are numbered from {least}");
            return sink.error(location, format!("`{}` is not a valid class number", shorten(number)), help);
        };
        if let Some((_, first)) = self.by_number.get(&number) {
            let message = format!("class {number} is already in line {}", first.line);
            sink.error(location, message, "use each number once");
        } else if let Some(first) = self.by_name.get(name) {
            sink.error(location, format!("`{}` is already class {first}", shorten(name)), "name each class once");
        } else {
            self.by_name.insert(name.to_owned(), number);
            self.by_number.insert(number, (name.to_owned(), location));
        }
    }

    fn finish(self, file: &ListFile, sink: &mut Sink) -> ClassList {
        let least = self.by_number.keys().next().copied();
        let first = self.first.unwrap_or_else(|| least.unwrap_or(0).min(1));
        for ((number, (_, location)), expected) in self.by_number.iter().zip(first..) {
            if *number != expected {
                let message = format!("class {expected} is missing before class {number}");
                sink.error(location.clone(), message, format!("number classes from {first} without gaps"));
                break; // all further ones are off as well
            }
        }
        if self.by_number.is_empty() {
            sink.error(file.location(1), "the file names no classes", "write one per line, such as `1 ApplyEyeMakeup`");
        }
        let (names, locations) = self.by_number.into_values().unzip();
        ClassList { names, locations, first_number: Some(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data;

    fn parse(name: &str, text: &str) -> Result<ClassList, Vec<String>> {
        let file = ListFile { name: name.into(), bytes: text.into() };
        let mut sink = Sink::default();
        let classes = read(&file, &mut sink);
        test_data::classes_or_errors(sink, classes)
    }

    #[track_caller]
    fn check(name: &str, text: &str, first_number: Option<u32>, names: &[&str]) {
        let classes = parse(name, text).expect("a label map");
        assert_eq!(
            (classes.first_number, classes.names),
            (first_number, names.iter().map(ToString::to_string).collect())
        );
    }

    #[test]
    fn every_kind_of_label_map_is_read() {
        check("a.txt", "brush_hair\ncart wheel\r\n\n", None, &["brush_hair", "cart wheel"]);
        check("a.txt", "3 point shot\nrun", None, &["3 point shot", "run"]);
        check("a.txt", "0\tbook\n1\tdrink up\n", Some(0), &["book", "drink up"]);
        check("a.txt", "1: bend/bow\n2: crouch\n", Some(1), &["bend/bow", "crouch"]);
        check("a.csv", "id,name\n1,\"b, c\"\n0,a\n", Some(0), &["a", "b, c"]);
        check("a.csv", "action\nBMX\nArm wrestling\n", None, &["BMX", "Arm wrestling"]);
        check("a.json", "{\n \"b\":\"1\",\n \"a\":\"0\"\n}", Some(0), &["a", "b"]);
        check("a.json", "{\"0\": \"a\", \"1\": \"b\"}", Some(0), &["a", "b"]);
        check("a.json", "[\"b\", \"a\"]", None, &["b", "a"]);
    }

    #[test]
    fn wrong_label_maps_are_errors() {
        let check = |name: &str, text: &str, expect: &[&str]| {
            assert_eq!(parse(name, text).expect_err("errors"), expect, "{text}");
        };
        check("a.txt", "a\nb\na", &["a.txt:3: `a` is already a class, at a.txt:1; name each class once"]);
        check(
            "a.txt",
            "0 a\nb",
            &["a.txt:2: `b` is not a valid line; expected a number and a name, such as `1 ApplyEyeMakeup`"],
        );
        check("a.txt", "1 a\n3 b", &["a.txt:2: class 2 is missing before class 3; number classes from 1 without gaps"]);
        check("a.txt", "", &["a.txt:1: the file names no classes; write one per line"]);
        check(
            "a.csv",
            "x,y,z\n",
            &["a.csv:1: not a label map; the first line must be `id,name`, or the name of a single column"],
        );
        check(
            "a.csv",
            "id,name\n0,c\n0,a,b\n1,\"x\n",
            &[
                "a.csv:3: 3 fields, but the first line has 2; put names that contain a comma in quotes",
                "a.csv:4: a quote is not closed; write a field that contains quotes as `\"like \"\"this\"\"\"`, on one line",
            ],
        );
        check(
            "a.json",
            "{\"a\": \"0\",\n \"b\": [2]}",
            &["a.json:2: not a class; write `\"name\": number`, or a list of names"],
        );
        check("a.json", "{\"a\": 0,\n x}", &["a.json:2: key must be a string; the label map must be valid JSON"]);
    }

    #[test]
    fn real_label_maps_are_read() {
        let cases = [
            ("mmaction2/label_maps/ucf101/label_map.txt", 101, None, "ApplyEyeMakeup"),
            ("mmaction2/label_maps/hmdb51/label_map.txt", 51, None, "brush_hair"),
            ("mmaction2/label_maps/kinetics/label_map_k400.txt", 400, None, "abseiling"),
            ("mmaction2/label_maps/kinetics/label_map_k600.txt", 600, None, "abseiling"),
            ("mmaction2/label_maps/kinetics/label_map_k700.txt", 700, None, "abseiling"),
            ("mmaction2/label_maps/sthv2/label_map.txt", 174, None, "Approaching something with your camera"),
            ("mmaction2/label_maps/jester/label_map.txt", 27, None, "Swiping Left"),
            ("mmaction2/label_maps/activitynet/label_map.txt", 200, None, "Applying sunscreen"),
            ("mmaction2/label_maps/activitynet/action_name.csv", 200, None, "Applying sunscreen"),
            ("mmaction2/label_maps/skeleton/label_map_ntu60.txt", 60, None, "drink water"),
            ("kinetics/k400_labels_to_id.csv", 400, Some(0), "abseiling"),
            ("sthv2/something-something-v2-labels.json", 174, Some(0), "Approaching something with your camera"),
            ("wlasl/wlasl_class_list.txt", 2000, Some(0), "book"),
            ("ucf101/classInd.txt", 101, Some(1), "ApplyEyeMakeup"),
        ];
        for (path, count, first_number, first) in cases {
            let Some(file) = test_data::list(path) else { return };
            let mut sink = Sink::default();
            let classes = read(&file, &mut sink);
            let classes = test_data::classes_or_errors(sink, classes).expect(path);
            assert_eq!(
                (classes.names.len(), classes.first_number, classes.names[0].as_str()),
                (count, first_number, first),
                "{path}"
            );
        }
    }
}
