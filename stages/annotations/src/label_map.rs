//! Label maps, which name the classes: [`read`]. What all lines agree on decides which column is the number.
//!
//! ```text
//! label_map_k400.txt     abseiling                                       the line number is the class index, from 0
//! wlasl_class_list.txt   0<tab>book
//! classInd.txt           1 ApplyEyeMakeup                                also `ApplyEyeMakeup 1`
//! k400_labels_to_id.csv  id,name                                         then 0,abseiling
//! action_name.csv        action                                          then one name per line
//! …-labels.json          {"Approaching something with your camera":"0",
//! ```

use crate::csv;
use crate::json;
use crate::labels::Number;
use crate::lists::{ClassList, ListFile, Location, Sink, shorten};
use serde_json::Value;

mod classes;
mod numbering;

use classes::{NamedClasses, NumberedClasses};
use numbering::{Numbering, Pair, Side, likelier, numbering, split_back, split_front};

/// Reads a label map; the extension of the file decides how. Wrong lines are errors of `sink`.
pub(crate) fn read(file: &ListFile, sink: &mut Sink) -> ClassList {
    match file.extension().as_deref() {
        Some("json") => from_json(file, sink),
        Some("csv" | "tsv") => from_csv(file, sink),
        _ => from_lines(file, sink),
    }
}

/// Reads lines of `number name`. Numbers start at `first`; if that is `None`, at 0 or 1.
pub(crate) fn numbered(file: &ListFile, first: Option<u32>, sink: &mut Sink) -> ClassList {
    let lines = file.lines(sink);
    let entries = lines.iter().map(|(line, text)| Entry::new(split_front(text), text, file.location(*line)));
    from_entries(file, entries.collect(), Side::Front, first, sink)
}

/// Lines of `number name` or `name number`, whichever all lines agree on, or else of names.
fn from_lines(file: &ListFile, sink: &mut Sink) -> ClassList {
    let lines = file.lines(sink);
    let entries = |split: fn(&str) -> Pair<'_>| -> Vec<Entry<'_>> {
        lines.iter().map(|(line, text)| Entry::new(split(text), text, file.location(*line))).collect()
    };
    let (front, back) = (entries(split_front), entries(split_back));
    match numbering(&pairs(&front), &pairs(&back)) {
        Numbering::At(Side::Front) => from_entries(file, front, Side::Front, None, sink),
        Numbering::At(Side::Back) => from_entries(file, back, Side::Back, None, sink),
        Numbering::Both => both_are_numbers(file, sink),
        Numbering::None => {
            let mut names = NamedClasses::default();
            for (line, text) in lines {
                names.add(text, file.location(line), sink);
            }
            names.finish(file, sink)
        }
    }
}

/// One column of names in class order, or a column of numbers and one of names. The first line may name the columns; that of a
/// single column always does.
fn from_csv(file: &ListFile, sink: &mut Sink) -> ClassList {
    let lines = file.lines(sink);
    let delimiter = lines.first().map_or(",", |(_, first)| csv::delimiter(first, file.separator()));
    let mut rows = Vec::new();
    for (line, text) in lines {
        let location = file.location(line);
        match csv::cells(text, delimiter).map(csv::texts) {
            Ok(cells) => rows.push((cells, location)),
            Err(message) => sink.error(location, message, csv::QUOTES_HELP),
        }
    }
    match rows.first().map_or(1, |(cells, _)| cells.len()) {
        1 => one_column(file, &rows, sink),
        2 => two_columns(file, &rows, sink),
        _ => {
            let help = "the first line must be `id,name`, or the name of a single column";
            sink.error(file.location(1), "not a label map", help);
            ClassList::default()
        }
    }
}

/// Cells of a line.
type CsvRow = (Vec<String>, Location);

fn one_column(file: &ListFile, rows: &[CsvRow], sink: &mut Sink) -> ClassList {
    let mut names = NamedClasses::default();
    for (cells, location) in rows.iter().skip(1) {
        match &cells[..] {
            [name] => names.add(name, location.clone(), sink),
            _ => wrong_number_of_cells(cells.len(), 1, location, sink),
        }
    }
    names.finish(file, sink)
}

fn two_columns(file: &ListFile, rows: &[CsvRow], sink: &mut Sink) -> ClassList {
    let has_header = rows.first().is_some_and(|(cells, _)| cells.iter().all(|cell| Number::parse(cell).is_none()));
    let (mut front, mut back) = (Vec::new(), Vec::new());
    for (cells, location) in rows.iter().skip(usize::from(has_header)) {
        if let [one, other] = &cells[..] {
            front.push(Entry::new(Some((one, other)), one, location.clone()));
            back.push(Entry::new(Some((other, one)), other, location.clone()));
        } else {
            wrong_number_of_cells(cells.len(), 2, location, sink);
        }
    }
    from_columns(file, front, back, sink)
}

/// Reads two columns, one of which must be numbers.
fn from_columns(file: &ListFile, front: Vec<Entry<'_>>, back: Vec<Entry<'_>>, sink: &mut Sink) -> ClassList {
    let (front_pairs, back_pairs) = (pairs(&front), pairs(&back));
    let side = match numbering(&front_pairs, &back_pairs) {
        Numbering::At(side) => side,
        Numbering::Both => return both_are_numbers(file, sink),
        Numbering::None => likelier(&front_pairs, &back_pairs),
    };
    let entries = if side == Side::Front { front } else { back };
    from_entries(file, entries, side, None, sink)
}

fn wrong_number_of_cells(found: usize, expected: usize, location: &Location, sink: &mut Sink) {
    let message = format!("{found} fields, but the first line has {expected}");
    sink.error(location.clone(), message, "put names that contain a comma in quotes");
}

/// A map from name to number or from number to name, whichever all entries agree on, or a list of names.
fn from_json(file: &ListFile, sink: &mut Sink) -> ClassList {
    let (mut entries, mut names, mut listed) = (Vec::new(), NamedClasses::default(), false);
    let read = json::rows(file, None, |row| {
        let location = row.location(file);
        match (row.key, row.value) {
            (Some(key), Value::String(text)) => entries.push((key, text, location)),
            (Some(key), Value::Number(number)) => entries.push((key, number.to_string(), location)),
            (None, Value::String(text)) => {
                listed = true;
                names.add(&text, location, sink);
            }
            _ => sink.error(location, "not a class", "write `\"name\": number`, or a list of names"),
        }
    });
    if let Err((line, message)) = read {
        sink.error(file.location(line), message, "the label map must be valid JSON");
        return ClassList::default();
    }
    if listed {
        return names.finish(file, sink);
    }
    let front: Vec<Entry<'_>> =
        entries.iter().map(|(key, value, at)| Entry::new(Some((key, value)), key, at.clone())).collect();
    let back: Vec<Entry<'_>> =
        entries.iter().map(|(key, value, at)| Entry::new(Some((value, key)), value, at.clone())).collect();
    from_columns(file, front, back, sink)
}

/// A line of a numbered label map.
struct Entry<'a> {
    /// Number and name, if the line has both.
    pair: Pair<'a>,
    /// The line, or what should be the number.
    text: &'a str,
    location: Location,
}

impl<'a> Entry<'a> {
    fn new(pair: Pair<'a>, text: &'a str, location: Location) -> Self {
        Self { pair, text, location }
    }
}

fn pairs<'a>(entries: &[Entry<'a>]) -> Vec<Pair<'a>> {
    entries.iter().map(|entry| entry.pair).collect()
}

/// Adds the classes of a numbered label map. Lines without a number are errors.
fn from_entries(
    file: &ListFile,
    entries: Vec<Entry<'_>>,
    side: Side,
    first: Option<u32>,
    sink: &mut Sink,
) -> ClassList {
    let help = match side {
        Side::Front => "expected a number and a name, such as `1 ApplyEyeMakeup`",
        Side::Back => "expected a name and a number, such as `ApplyEyeMakeup 1`",
    };
    let mut numbers = NumberedClasses::new(first);
    for Entry { pair, text, location } in entries {
        match pair {
            Some((number, name)) => numbers.add(number, name, location, sink),
            None => sink.error(location, format!("`{}` is not a valid line", shorten(text)), help),
        }
    }
    numbers.finish(file, sink)
}

fn both_are_numbers(file: &ListFile, sink: &mut Sink) -> ClassList {
    let message = "both columns could be the numbers of the classes";
    sink.error(file.location(1), message, "list only the names, one per line in class order");
    ClassList::default()
}

#[cfg(test)]
mod tests;
