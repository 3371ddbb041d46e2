//! Files that name the classes: [`read`].
//!
//! ```text
//! label_map_k400.txt     abseiling                                       the line is the number, from 0
//! wlasl_class_list.txt   0<tab>book
//! classInd.txt           1 ApplyEyeMakeup
//! k400_labels_to_id.csv  id,name                                         then 0,abseiling
//! action_name.csv        action                                          then a name a line
//! …-labels.json          {"Approaching something with your camera":"0",
//! ```

use crate::csv;
use crate::json;
use crate::lists::{ClassList, ListFile, Place, Sink, short};
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads a label map. What is wrong goes to `sink`.
pub(crate) fn read(file: &ListFile, sink: &mut Sink) -> ClassList {
    match file.name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => from_json(file, sink),
        Some("csv") => from_csv(file, sink),
        _ => from_lines(file, sink),
    }
}

/// Reads `number name` a line, counted from `first`, or from 0 or 1.
pub(crate) fn numbered(file: &ListFile, first: Option<u32>, sink: &mut Sink) -> ClassList {
    let mut numbers = Numbers::new(first);
    for (line, text) in file.lines(sink) {
        match split_number(text) {
            Some((number, name)) => numbers.add(number, name, file.place(line), sink),
            None => sink.problem(
                file.place(line),
                format!("`{}` is no class", short(text)),
                "write its number and its name, as in `1 ApplyEyeMakeup`",
            ),
        }
    }
    numbers.finish(file, sink)
}

/// A file whose first line begins with 0 or 1 has numbers in all lines; else none has.
fn from_lines(file: &ListFile, sink: &mut Sink) -> ClassList {
    let lines = file.lines(&mut Sink::default());
    let first = lines.first().and_then(|(_, text)| split_number(text));
    if first.is_some_and(|(number, _)| number == "0" || number == "1") {
        return numbered(file, None, sink);
    }
    let mut names = Names::default();
    for (line, text) in file.lines(sink) {
        names.add(text, file.place(line), sink);
    }
    names.finish(file, sink)
}

/// A column `id` (or `label`) holds numbers, another one names; a single column holds names in their order.
fn from_csv(file: &ListFile, sink: &mut Sink) -> ClassList {
    let lines = file.lines(sink);
    let Some((_, header)) = lines.first() else { return Names::default().finish(file, sink) };
    let header: Vec<String> =
        csv::fields(header, ",").map(|fields| fields.iter().map(|f| f.to_lowercase()).collect()).unwrap_or_default();
    let numbered = match &header[..] {
        [_] => None,
        [id, _] if id == "id" || id == "label" => Some((0, 1)),
        [_, id] if id == "id" || id == "label" => Some((1, 0)),
        _ => {
            sink.problem(file.place(1), "this is no label map", "the first line names its columns: `id,name`, or one");
            return ClassList::default();
        }
    };
    let (mut numbers, mut names) = (Numbers::new(None), Names::default());
    for (line, text) in &lines[1..] {
        let place = file.place(*line);
        match (csv::fields(text, ","), numbered) {
            (Ok(fields), Some((id, name))) if fields.len() == 2 => numbers.add(&fields[id], &fields[name], place, sink),
            (Ok(fields), None) if fields.len() == 1 => names.add(&fields[0], place, sink),
            (Ok(fields), _) => {
                let message = format!("{} fields where the first line has {}", fields.len(), header.len());
                sink.problem(place, message, "put a name with a comma into quotes");
            }
            (Err(message), _) => sink.problem(place, message, csv::QUOTES),
        }
    }
    if numbered.is_some() { numbers.finish(file, sink) } else { names.finish(file, sink) }
}

/// A map from name to number or from number to name, or a list of names.
fn from_json(file: &ListFile, sink: &mut Sink) -> ClassList {
    let (mut numbers, mut names) = (Numbers::new(None), Names::default());
    let mut listed = false;
    let read = json::rows(file, None, |row| {
        let place = file.place(row.line);
        match (row.key, &row.value) {
            (Some(key), Value::String(text)) if is_number(text) => numbers.add(text, &key, place, sink),
            (Some(key), Value::String(text)) if is_number(&key) => numbers.add(&key, text, place, sink),
            (Some(key), Value::Number(number)) => numbers.add(&number.to_string(), &key, place, sink),
            (None, Value::String(text)) => {
                listed = true;
                names.add(text, place, sink);
            }
            _ => sink.problem(place, "this is no class", "write `\"name\": number`, or a list of names"),
        }
    });
    if let Err((line, message)) = read {
        sink.problem(file.place(line), message, "write the label map as JSON");
        return ClassList::default();
    }
    if listed { names.finish(file, sink) } else { numbers.finish(file, sink) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parts `1 name`, `1<tab>name`, `1: name` and `1,name`.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', '\t', ':', ','])?;
    let (number, name) = (&text[..end], text[end..].trim_start_matches([' ', '\t', ':', ',']));
    (!number.is_empty() && !name.is_empty()).then_some((number, name))
}

/// Names in their order.
#[derive(Default)]
struct Names {
    list: ClassList,
    seen: BTreeMap<String, Place>,
}

impl Names {
    fn add(&mut self, name: &str, place: Place, sink: &mut Sink) {
        if let Some(first) = self.seen.get(name) {
            sink.problem(place, format!("`{}` is a class already, at {first}", short(name)), "name each class once");
            return;
        }
        self.seen.insert(name.to_owned(), place.clone());
        self.list.names.push(name.to_owned());
        self.list.places.push(place);
    }

    fn finish(self, file: &ListFile, sink: &mut Sink) -> ClassList {
        if self.list.names.is_empty() {
            sink.problem(file.place(1), "there is no class", "write one a line");
        }
        self.list
    }
}

/// Names with numbers, in any order.
struct Numbers {
    first: Option<u32>,
    by_number: BTreeMap<u32, (String, Place)>,
    by_name: BTreeMap<String, u32>,
}

impl Numbers {
    fn new(first: Option<u32>) -> Self {
        Self { first, by_number: BTreeMap::new(), by_name: BTreeMap::new() }
    }

    fn add(&mut self, number: &str, name: &str, place: Place, sink: &mut Sink) {
        let least = self.first.unwrap_or(0);
        let Some(number) = number.parse::<u32>().ok().filter(|number| *number >= least) else {
            let help = format!("numbers count from {least}");
            return sink.problem(place, format!("`{}` is no class number", short(number)), help);
        };
        if let Some((_, first)) = self.by_number.get(&number) {
            let message = format!("class {number} is in line {} already", first.line);
            sink.problem(place, message, "give each class a number of its own");
        } else if let Some(first) = self.by_name.get(name) {
            sink.problem(place, format!("`{}` is class {first} already", short(name)), "name each class once");
        } else {
            self.by_name.insert(name.to_owned(), number);
            self.by_number.insert(number, (name.to_owned(), place));
        }
    }

    fn finish(self, file: &ListFile, sink: &mut Sink) -> ClassList {
        let least = self.by_number.keys().next().copied();
        let first = self.first.unwrap_or_else(|| least.unwrap_or(0).min(1));
        for ((number, (_, place)), expected) in self.by_number.iter().zip(first..) {
            if *number != expected {
                let message = format!("class {expected} is missing before class {number}");
                sink.problem(place.clone(), message, format!("number the classes from {first} without gaps"));
                break; // all that follow are off by as much
            }
        }
        if self.by_number.is_empty() {
            sink.problem(file.place(1), "there is no class", "write one a line, as in `1 ApplyEyeMakeup`");
        }
        let (names, places) = self.by_number.into_values().unzip();
        ClassList { names, places, first_number: Some(first) }
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
        test_data::problems(sink, classes)
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
    fn every_way_to_write_a_label_map() {
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
    fn wrong_label_maps_are_told() {
        let check = |name: &str, text: &str, expect: &[&str]| {
            assert_eq!(parse(name, text).expect_err("problems"), expect, "{text}");
        };
        check("a.txt", "a\nb\na", &["a.txt:3: `a` is a class already, at a.txt:1; name each class once"]);
        check(
            "a.txt",
            "0 a\nb",
            &["a.txt:2: `b` is no class; write its number and its name, as in `1 ApplyEyeMakeup`"],
        );
        check(
            "a.txt",
            "1 a\n3 b",
            &["a.txt:2: class 2 is missing before class 3; number the classes from 1 without gaps"],
        );
        check("a.txt", "", &["a.txt:1: there is no class; write one a line"]);
        check(
            "a.csv",
            "x,y,z\n",
            &["a.csv:1: this is no label map; the first line names its columns: `id,name`, or one"],
        );
        check(
            "a.csv",
            "id,name\n0,c\n0,a,b\n1,\"x\n",
            &[
                "a.csv:3: 3 fields where the first line has 2; put a name with a comma into quotes",
                "a.csv:4: a quote is not closed; a field with quotes is written `\"like \"\"this\"\"\"`, in one line",
            ],
        );
        check(
            "a.json",
            "{\"a\": \"0\",\n \"b\": [2]}",
            &["a.json:2: this is no class; write `\"name\": number`, or a list of names"],
        );
        check("a.json", "{\"a\": 0,\n x}", &["a.json:2: key must be a string; write the label map as JSON"]);
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
            let classes = test_data::problems(sink, classes).expect(path);
            assert_eq!(
                (classes.names.len(), classes.first_number, classes.names[0].as_str()),
                (count, first_number, first),
                "{path}"
            );
        }
    }
}
