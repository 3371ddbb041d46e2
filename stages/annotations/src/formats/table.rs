//! Any CSV, TSV, JSON or JSON Lines file, by the names of its columns: [`parse`].
//!
//! ```text
//! FILE; ACTION CLASSES                                                        airtlab, several labels
//! 3.mp4;slap,kick
//! train,PlayingDhol,v_PlayingDhol_g17_c01,119                                 no header: columns 1, 2, 3, 4
//! {"65097": {"subset": "train", "action": [481, 1, 74]},                      columns `key`, `subset`, `action.0`
//! {"7UPGT": {"subset": "training", "actions": [[12, 11.9, 21.2]]},            Charades: segments `actions`
//! P01_01,00:00:01.09,00:00:02.30,take,plate                                   EPIC-KITCHENS: labels `verb`, `noun`
//! ```

use super::Role;
use crate::csv::{CsvTable, Record};
use crate::json::{self, JsonRow};
use crate::lists::{Label, ListFile, Location, Row, RowSplit, Segment, Sink, shorten};
use pipe_schemas::stages::annotations::{AnnotationsParams, Columns};
use serde_json::Value;
use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// What is wrong with a row, and how to fix it.
type Problem = (String, &'static str);

/// The labels of a video, or of a segment of it.
struct Action {
    labels: Vec<Label>,
    segment: Option<Segment>,
}

/// Parses a table; the extension of the file decides how.
pub(super) fn parse(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    match file.extension().as_deref() {
        Some("json") => parse_json(file, role, params, sink),
        Some("jsonl") => parse_json_lines(file, role, params, sink),
        _ => parse_csv(file, role, params, sink),
    }
}

fn parse_csv(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    let columns = &params.columns;
    let Columns { video, label, labels, subset, start, end, segments, group, .. } = columns;
    let wanted: Vec<&str> = [video, label, subset, start, end, segments, group]
        .into_iter()
        .flatten()
        .chain(labels)
        .map(String::as_str)
        .collect();
    let Some(csv) = CsvTable::open(file, &wanted, columns.header, params.delimiter.as_deref(), sink) else { return };
    csv.each(file, sink, |record, location, sink| {
        let actions = csv_actions(&record, columns, sink);
        add(columns, role, |column| record.get(column).map(Cow::Borrowed), actions, location, sink);
    });
}

fn csv_actions(record: &Record<'_>, columns: &Columns, sink: &mut Sink) -> Result<Vec<Action>, Problem> {
    let text = |column: &str| record.get(column).unwrap_or_default();
    if let Some(column) = &columns.segments {
        return text(column)
            .split(';')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| triple(text, sink))
            .collect();
    }
    let labels = if let Some(label) = columns.label.as_ref().and_then(|label| record.cell(label)) {
        let texts: Vec<&str> = match &columns.label_delimiter {
            Some(delimiter) => label.text.split(delimiter.as_str()).map(str::trim).collect(),
            None => vec![&label.text],
        };
        texts.into_iter().map(|text| Label::of_text(text, label.quoted, sink)).collect()
    } else {
        let parts: Vec<&str> = columns.labels.iter().map(|column| text(column)).collect();
        joined(&parts, sink)
    };
    let segment = segment(columns, |column| record.get(column).map(Cow::Borrowed))?;
    Ok(vec![Action { labels, segment }])
}

/// Parses `class start end`.
fn triple(text: &str, sink: &mut Sink) -> Result<Action, Problem> {
    const HELP: &str = "write `class start end`, with `;` between segments";
    let mut fields = text.rsplitn(3, char::is_whitespace).map(str::trim);
    let (Some(end), Some(start), Some(class)) = (fields.next(), fields.next(), fields.next()) else {
        return Err((format!("`{}` is not a class with start and end", shorten(text)), HELP));
    };
    let segment = Segment::parse(start, end).map_err(|message| (message, Segment::HELP))?;
    Ok(Action { labels: vec![Label::of_text(class, false, sink)], segment: Some(segment) })
}

/// Returns the class that several texts are together, or none if one is missing.
fn joined(parts: &[&str], sink: &mut Sink) -> Vec<Label> {
    let is_complete = !parts.is_empty() && parts.iter().all(|part| !part.is_empty());
    if is_complete { vec![Label::Name(sink.intern(&parts.join(" ")))] } else { Vec::new() }
}

fn parse_json(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    let read = json::rows(file, None, |row| add_json(&row, role, params, row.location(file), sink));
    if let Err((line, message)) = read {
        sink.error(file.location(line), message, "a JSON table is a list of rows, or a map of rows");
    }
}

fn parse_json_lines(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    for (line, text) in file.lines(sink) {
        match serde_json::from_str(text) {
            Ok(value) => {
                let row = JsonRow { key: None, value, line, position: 0 };
                add_json(&row, role, params, file.location(line), sink);
            }
            Err(error) => {
                sink.error(file.location(line), json::message(&error), "write one JSON object per line");
            }
        }
    }
}

fn add_json(row: &JsonRow, role: Role, params: &AnnotationsParams, location: Location, sink: &mut Sink) {
    let cell = |column: &str| match &row.key {
        Some(key) if column == "key" => Some(Cow::Borrowed(key.as_str())),
        _ => at(&row.value, column).and_then(text),
    };
    let actions = json_actions(row, params, cell, sink);
    add(&params.columns, role, cell, actions, location, sink);
}

fn json_actions<'a>(
    row: &JsonRow,
    params: &AnnotationsParams,
    cell: impl Fn(&str) -> Option<Cow<'a, str>>,
    sink: &mut Sink,
) -> Result<Vec<Action>, Problem> {
    let columns = &params.columns;
    if let Some(column) = &columns.segments {
        return json_segments(at(&row.value, column), column, sink);
    }
    let labels = match &columns.label {
        Some(label) if label == "key" && row.key.is_some() => {
            cell(label).map(|text| Label::of_text(&text, true, sink)).into_iter().collect()
        }
        Some(label) => json_labels(at(&row.value, label), label, params.multi_class, sink)?,
        None => {
            let parts: Vec<Cow<'_, str>> =
                columns.labels.iter().map(|column| cell(column).unwrap_or_default()).collect();
            joined(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>(), sink)
        }
    };
    Ok(vec![Action { labels, segment: segment(columns, cell)? }])
}

/// Returns the labels that a value is; none if it is missing.
fn json_labels(value: Option<&Value>, column: &str, multi_class: bool, sink: &mut Sink) -> Result<Vec<Label>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(_)) => {
            Err((format!("`{column}` is a map, not a label"), "choose a value of it, as in `label.name`"))
        }
        Some(Value::Array(items)) if items.iter().any(Value::is_array) => {
            let help = "if its items are `[class, start, end]`, set `segments` instead of `label`; otherwise choose one, as in `label.0.0`";
            Err((format!("`{column}` is a list of lists, not a label"), help))
        }
        Some(Value::Array(items)) if items.iter().any(|item| item.is_object() || item.is_null()) => {
            Err((format!("`{column}` is a list of maps, not a label"), "choose a value, as in `label.0.name`"))
        }
        Some(Value::Array(items)) if !multi_class && items.len() > 1 => {
            let help = "choose one item, as in `label.0`, or set `multi_class: true`";
            Err((format!("`{column}` is a list of labels"), help))
        }
        Some(Value::Array(items)) => Ok(items.iter().filter_map(|item| json_label(item, sink)).collect()),
        Some(value) => Ok(json_label(value, sink).into_iter().collect()),
    }
}

fn json_label(value: &Value, sink: &mut Sink) -> Option<Label> {
    text(value).map(|text| Label::of_text(&text, value.is_string(), sink))
}

/// Parses `[[class, start, end], …]`.
fn json_segments(value: Option<&Value>, column: &str, sink: &mut Sink) -> Result<Vec<Action>, Problem> {
    const HELP: &str = "write a list of `[class, start, end]`";
    let Some(Value::Array(items)) = value else {
        return Err((format!("the row has no list `{column}`"), HELP));
    };
    let action = |item: &Value| {
        let fields = item.as_array().map(Vec::as_slice).unwrap_or_default();
        let [class, start, end] = fields else {
            return Err((format!("`{}` is not `[class, start, end]`", shorten(&item.to_string())), HELP));
        };
        let label = json_label(class, sink)
            .ok_or_else(|| (format!("`{}` is not a class", shorten(&class.to_string())), HELP))?;
        let [start, end] = [start, end].map(|time| text(time).unwrap_or_default());
        let segment = Segment::parse(&start, &end).map_err(|message| (message, Segment::HELP))?;
        Ok(Action { labels: vec![label], segment: Some(segment) })
    };
    items.iter().map(action).collect()
}

/// Returns the value at a path such as `action.0`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    // A key that contains a dot takes precedence over a path.
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(yes) => Some(Cow::Borrowed(if *yes { "true" } else { "false" })),
        _ => None,
    }
}

/// Returns the segment in the columns `start` and `end`, if there is one.
fn segment<'a>(columns: &Columns, cell: impl Fn(&str) -> Option<Cow<'a, str>>) -> Result<Option<Segment>, Problem> {
    let named = |column: &Option<String>| column.as_deref().and_then(&cell);
    match (named(&columns.start), named(&columns.end)) {
        (Some(start), Some(end)) if !(start.is_empty() && end.is_empty()) => {
            Segment::parse(&start, &end).map(Some).map_err(|message| (message, Segment::HELP))
        }
        _ => Ok(None),
    }
}

/// Adds the rows of a line. `cell` returns the value of a column.
fn add<'a>(
    columns: &Columns,
    role: Role,
    cell: impl Fn(&str) -> Option<Cow<'a, str>>,
    actions: Result<Vec<Action>, Problem>,
    location: Location,
    sink: &mut Sink,
) {
    let named = |column: &Option<String>| column.as_deref().and_then(&cell);
    let name = |column: &Option<String>| column.clone().unwrap_or_default();
    let Some(video) = named(&columns.video).filter(|video| !video.is_empty()) else {
        let message = format!("the row has no `{}`", name(&columns.video));
        return sink.error(location, message, "each row must name its video");
    };
    let actions = match actions {
        Ok(actions) => actions,
        Err((message, help)) => return sink.error(location, message, help),
    };
    if actions.iter().any(|action| action.labels.is_empty() || action.labels.iter().any(Label::is_blank)) {
        let label = columns.label.clone().unwrap_or_else(|| columns.labels.join("` or no `"));
        let message = format!("the row has no `{label}`");
        return sink.error(location, message, "each row must have a label; remove rows without one");
    }
    let subset = named(&columns.subset);
    if columns.subset.is_some() && subset.is_none() {
        let message = format!("the row has no `{}`", name(&columns.subset));
        return sink.error(location, message, "each row must have a subset");
    }
    let split = role.split(subset.as_deref(), &location, sink);
    let group = named(&columns.group).unwrap_or_default().into_owned();
    if actions.is_empty() {
        sink.push(Row::new(video, RowSplit::Unused, Vec::new(), location));
        return;
    }
    for Action { labels, segment } in actions {
        let row = Row::new(video.clone(), split.clone(), labels, location.clone());
        sink.push(Row { group: group.clone(), segment, ..row });
    }
}
