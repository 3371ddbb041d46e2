//! Lists of HMDB51: [`read`].
//!
//! ```text
//! wave_test_split1.txt   20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi 2
//!                        21_wave_u_nm_np1_fr_goo_5.avi 1
//! ```
//!
//! One file per class and split; 0 is unused, 1 training, 2 test. Classes are numbered in alphabetical order. Videos are in one
//! folder per class.

use super::read_at;
use crate::error::AnnotationsError;
use crate::groups;
use crate::lists::{ClassList, Label, ListFile, ParsedLists, Row, RowSplit, Sink, name_of, shorten};
use pipe_schemas::tables::Split;
use pipe_stage::Sources;
use std::collections::BTreeMap;

/// Returns whether the folder contains a list of this split.
pub(super) fn has_lists(sources: &Sources, split: u32) -> bool {
    sources.files.iter().any(|file| file.path.ends_with(&suffix(split)))
}

/// Returns the suffix of the lists of a split.
fn suffix(split: u32) -> String {
    format!("_test_split{split}.txt")
}

/// Reads the lists of all classes.
pub(super) fn read(sources: &Sources, split: u32) -> Result<ParsedLists, AnnotationsError> {
    let (root, suffix) = (|| sources.root.clone(), suffix(split));
    let mut by_class: BTreeMap<&str, &str> = BTreeMap::new();
    for file in &sources.files {
        let Some(class) = name_of(&file.path).strip_suffix(&suffix).filter(|class| !class.is_empty()) else { continue };
        if let Some(first) = by_class.insert(class, &file.path) {
            let (name, first) = (name_of(&file.path).to_owned(), first.to_owned());
            return Err(AnnotationsError::TwoFiles { root: root(), name, first, second: file.path.clone() });
        }
    }
    if by_class.is_empty() {
        return Err(AnnotationsError::NoFile { root: root(), name: format!("CLASS{suffix}") });
    }
    let (mut sink, mut classes) = (Sink::default(), ClassList::default());
    for (class, path) in by_class {
        let file = read_at(sources, path, name_of(path))?;
        parse(&file, class, &mut sink);
        classes.names.push(class.to_owned());
        classes.locations.push(file.location(1));
    }
    sink.finish(Some(classes))
}

/// Parses the list of a class.
fn parse(file: &ListFile, class: &str, sink: &mut Sink) {
    let label = Label::Name(sink.intern(class));
    for (line, text) in file.lines(sink) {
        let location = file.location(line);
        let split = match text.rsplit_once(char::is_whitespace) {
            Some((_, "0")) => RowSplit::Unused,
            Some((_, "1")) => RowSplit::Known(Split::Train),
            Some((_, "2")) => RowSplit::Known(Split::Test),
            _ => {
                let help = "expected a file name and 0 (unused), 1 (training) or 2 (test)";
                sink.error(location, format!("`{}` is not a valid line", shorten(text)), help);
                continue;
            }
        };
        let name = text[..text.len() - 1].trim_end();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let group = groups::hmdb51(stem).unwrap_or_default().to_owned();
        sink.push(Row { group, ..Row::new(format!("{class}/{name}"), split, vec![label.clone()], location) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, texts};

    #[test]
    fn numbers_are_splits_and_names_may_contain_anything() {
        let mut sink = Sink::default();
        parse(
            &file("wave_test_split1.txt", "A_wave_f_cm_np1_ba_med_0.avi 2 \r\nb #;(&) c.avi 1\nc.avi 0\n"),
            "wave",
            &mut sink,
        );
        let rows = texts(sink.finish(None)).expect("rows").rows;
        let found: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.split.clone(), row.group.as_str())).collect();
        let expect = [
            ("wave/A_wave_f_cm_np1_ba_med_0.avi", RowSplit::Known(Split::Test), "A_wave"),
            ("wave/b #;(&) c.avi", RowSplit::Known(Split::Train), ""),
            ("wave/c.avi", RowSplit::Unused, ""),
        ];
        assert_eq!(found, expect);
    }

    #[test]
    fn other_numbers_are_errors() {
        let mut sink = Sink::default();
        parse(&file("wave_test_split1.txt", "a.avi 3\na.avi\n 1"), "wave", &mut sink);
        let help = "expected a file name and 0 (unused), 1 (training) or 2 (test)";
        let expect = ["a.avi 3", "a.avi", "1"].into_iter().zip(1..);
        let expect: Vec<_> = expect
            .map(|(text, line)| format!("wave_test_split1.txt:{line}: `{text}` is not a valid line; {help}"))
            .collect();
        assert_eq!(texts(sink.finish(None)).expect_err("problems"), expect);
    }
}
