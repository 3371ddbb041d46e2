//! HMDB51's lists: [`read`].
//!
//! ```text
//! wave_test_split1.txt   20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi 2
//!                        21_wave_u_nm_np1_fr_goo_5.avi 1
//! ```
//!
//! One file a class and split; 0 is unused, 1 training, 2 test. Classes are numbered in the order of their names. Videos
//! lie in a folder a class.

use super::read_at;
use crate::error::AnnotationsError;
use crate::groups;
use crate::lists::{ClassList, Label, ListFile, Listed, Part, Row, Sink, name_of, short};
use pipe_schemas::tables::Split;
use pipe_stage::Sources;
use std::collections::BTreeMap;

/// Returns the ending of the lists of a split.
pub(super) fn suffix(split: u32) -> String {
    format!("_test_split{split}.txt")
}

/// Reads the lists of all classes.
pub(super) fn read(sources: &Sources, split: u32) -> Result<Listed, AnnotationsError> {
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
        classes.places.push(file.place(1));
    }
    sink.finish(Some(classes))
}

/// Reads the list of a class.
fn parse(file: &ListFile, class: &str, sink: &mut Sink) {
    let label = Label::Name(sink.word(class));
    for (line, text) in file.lines(sink) {
        let place = file.place(line);
        let part = match text.rsplit_once(char::is_whitespace) {
            Some((_, "0")) => Part::Unused,
            Some((_, "1")) => Part::Of(Split::Train),
            Some((_, "2")) => Part::Of(Split::Test),
            _ => {
                let help = "write its name and 0 (unused), 1 (training) or 2 (test)";
                sink.problem(place, format!("`{}` is no video of a list", short(text)), help);
                continue;
            }
        };
        let name = text[..text.len() - 1].trim_end();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let group = groups::hmdb51(stem).unwrap_or_default().to_owned();
        sink.row(Row { group, ..Row::new(format!("{class}/{name}"), part, vec![label.clone()], place) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, texts};

    #[test]
    fn numbers_are_parts_and_names_may_be_odd() {
        let mut sink = Sink::default();
        parse(
            &file("wave_test_split1.txt", "A_wave_f_cm_np1_ba_med_0.avi 2 \r\nb #;(&) c.avi 1\nc.avi 0\n"),
            "wave",
            &mut sink,
        );
        let rows = texts(sink.finish(None)).expect("rows").rows;
        let found: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.part.clone(), row.group.as_str())).collect();
        let expect = [
            ("wave/A_wave_f_cm_np1_ba_med_0.avi", Part::Of(Split::Test), "A_wave"),
            ("wave/b #;(&) c.avi", Part::Of(Split::Train), ""),
            ("wave/c.avi", Part::Unused, ""),
        ];
        assert_eq!(found, expect);
    }

    #[test]
    fn other_numbers_are_wrong() {
        let mut sink = Sink::default();
        parse(&file("wave_test_split1.txt", "a.avi 3\na.avi\n 1"), "wave", &mut sink);
        let help = "write its name and 0 (unused), 1 (training) or 2 (test)";
        let expect = ["a.avi 3", "a.avi", "1"].into_iter().zip(1..);
        let expect: Vec<_> = expect
            .map(|(text, line)| format!("wave_test_split1.txt:{line}: `{text}` is no video of a list; {help}"))
            .collect();
        assert_eq!(texts(sink.finish(None)).expect_err("problems"), expect);
    }
}
