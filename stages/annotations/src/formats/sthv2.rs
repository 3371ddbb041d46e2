//! Lists of Something-Something v2: [`parse`].
//!
//! ```text
//! {"id":"78687","label":"holding potato next to vicks vaporub bottle","template":"Holding [something] next to [something]","placeholders":[…]}
//! ```
//!
//! The class is the template without its brackets; the label map defines the order of the classes.

use super::Role;
use crate::json;
use crate::lists::{Label, ListFile, Row, Sink};
use pipe_schemas::stages::annotations::AnnotationsParams;
use serde_json::Value;

/// Returns whether each row has an `id` and a `template`, and there is a label map.
pub(super) fn is_list(file: &ListFile, params: &AnnotationsParams) -> bool {
    let is_row = |row: &Value| row.get("id").is_some() && row.get("template").is_some();
    params.label_map.is_some() && json::all_rows(file, None, is_row)
}

/// Parses a list.
pub(super) fn parse(file: &ListFile, role: Role, _params: &AnnotationsParams, sink: &mut Sink) {
    let read = json::rows(file, None, |row| {
        let location = row.location(file);
        let id = match row.value.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return sink.error(location, "the row has no `id`", "each row must name its video"),
        };
        let Some(template) = row.value.get("template").and_then(Value::as_str) else {
            let help = "use a training or validation list; the labels of the test list are in another file";
            return sink.error(location, "the row has no `template`", help);
        };
        let split = role.split(None, &location, sink);
        let label = Label::Name(sink.intern(&template.replace(['[', ']'], "")));
        sink.push(Row::new(id, split, vec![label], location));
    });
    if let Err((line, message)) = read {
        sink.error(file.location(line), message, "the list must be a JSON list of videos");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label_map;
    use crate::labels::resolve;
    use crate::test_data::{file, list, texts};
    use pipe_schemas::tables::Split;

    const ROWS: &str = r#"[
{"id":"78687","label":"holding potato next to vicks vaporub bottle","template":"Holding [something] next to [something]","placeholders":["potato","vicks vaporub bottle"]},
{"id":"42326","label":"attaching a to b","template":"Attaching [something] to [something]","placeholders":["a","b"]}]"#;

    #[test]
    fn templates_match_the_real_label_map() {
        let Some(map) = list("sthv2/something-something-v2-labels.json") else { return };
        let mut sink = Sink::default();
        let classes = label_map::read(&map, &mut sink);
        parse(&file("t.json", ROWS), Role(Some(Split::Train)), &AnnotationsParams::default(), &mut sink);
        let listed = texts(sink.finish(Some(classes))).expect("rows");
        let resolved = resolve(listed, &AnnotationsParams::default()).expect("classes");
        let found: Vec<_> = resolved.entries.iter().map(|e| (e.path.as_str(), e.classes[0], e.location.line)).collect();
        let holding = resolved.classes.names.iter().position(|name| name == "Holding something next to something");
        assert_eq!(found, [("78687", holding.expect("a class") as u32, 2), ("42326", 1, 3)]);
    }

    #[test]
    fn rows_without_a_class_are_errors() {
        let mut sink = Sink::default();
        parse(
            &file("t.json", "[{\"id\":\"1\"},\n{\"template\":\"x\"}]"),
            Role(None),
            &AnnotationsParams::default(),
            &mut sink,
        );
        let problems = texts(sink.finish(None)).expect_err("problems");
        assert!(problems[0].starts_with("t.json:1[0]: the row has no `template`; "), "{problems:?}");
        assert_eq!(problems[1], "t.json:2[1]: the row has no `id`; each row must name its video");
    }
}
