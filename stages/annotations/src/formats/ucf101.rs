//! Lists of UCF101: [`read`].
//!
//! ```text
//! classInd.txt       1 ApplyEyeMakeup
//! trainlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
//! testlist01.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
//! ```
//!
//! Labels count from 1. The class is the name of the folder, not part of the file name: the real lists contain
//! `HandstandPushups/v_HandStandPushups_g01_c01.avi`.

use super::read_list;
use crate::error::AnnotationsError;
use crate::groups;
use crate::label_map;
use crate::lists::{Label, ListFile, Location, ParsedLists, Row, RowSplit, Sink, name_of, shorten};
use crate::paths;
use pipe_schemas::tables::Split;
use pipe_stage::Sources;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Returns whether the folder contains the three lists of this split.
pub(super) fn has_lists(sources: &Sources, split: u32) -> bool {
    let has = |name: &str| sources.files.iter().any(|file| name_of(&file.path) == name);
    has("classInd.txt") && has(&format!("trainlist0{split}.txt")) && has(&format!("testlist0{split}.txt"))
}

/// Reads the class list, the training list and the test list of a split.
pub(super) fn read(sources: &Sources, split: u32) -> Result<ParsedLists, AnnotationsError> {
    let classes = read_list(sources, "classInd.txt")?;
    let train = read_list(sources, &format!("trainlist0{split}.txt"))?;
    let test = read_list(sources, &format!("testlist0{split}.txt"))?;
    parse(&classes, &train, &test)
}

/// Parses the three lists.
///
/// # Errors
/// All wrong lines, in the order of files and lines.
fn parse(classes: &ListFile, train: &ListFile, test: &ListFile) -> Result<ParsedLists, AnnotationsError> {
    let mut sink = Sink::default();
    let list = label_map::numbered(classes, Some(1), &mut sink);
    let numbers = list.names.iter().map(|name| sink.intern(name)).zip(1..).collect();
    let parser = Parser { class_file: &classes.name, numbers };
    for (file, split) in [(train, Split::Train), (test, Split::Test)] {
        for (line, text) in file.lines(&mut sink) {
            match parser.row(text, split, file.location(line), &mut sink) {
                Ok(row) => sink.push(row),
                Err((message, help)) => sink.error(file.location(line), message, help),
            }
        }
    }
    sink.finish(Some(list))
}

struct Parser<'a> {
    class_file: &'a str,
    /// Class numbers by name, from 1.
    numbers: BTreeMap<Rc<str>, u32>,
}

impl Parser<'_> {
    /// Parses a line.
    ///
    /// # Errors
    /// The problem, and how to fix it.
    fn row(&self, text: &str, split: Split, location: Location, sink: &mut Sink) -> Result<Row, (String, String)> {
        let example = match split {
            Split::Train => "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
            Split::Test => "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        };
        let malformed =
            || (format!("`{}` is not a valid line", shorten(text)), format!("expected a line such as `{example}`"));
        let mut fields = text.split_whitespace();
        let (path, number) = match (fields.next(), fields.next(), fields.next(), split) {
            (Some(path), number @ Some(_), None, _) => (path, number),
            (Some(path), None, None, Split::Test) => (path, None),
            _ => return Err(malformed()),
        };
        let normal = paths::normal(path);
        let (folders, file_name) = normal.rsplit_once('/').ok_or_else(malformed)?;
        let (stem, extension) = file_name.rsplit_once('.').ok_or_else(malformed)?;
        if stem.is_empty() || extension.is_empty() {
            return Err(malformed());
        }
        let class = name_of(folders);
        if let (Some(number), Some(expected)) = (number, self.numbers.get(class))
            && number.parse().ok() != Some(*expected)
        {
            let message = format!("class `{}` has number {} here", shorten(class), shorten(number));
            return Err((message, format!("it is {expected} in {}", self.class_file)));
        }
        let group = groups::ucf101(stem).map(|group| format!("{class}_{group}")).unwrap_or_default();
        let label = Label::Name(sink.intern(class));
        Ok(Row { group, ..Row::new(path, RowSplit::Known(split), vec![label], location) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, texts};

    const CLASSES: &str = "1 Archery\r\n2 HandstandPushups\r\n";

    fn parse_texts(classes: &str, train: &str, test: &str) -> Result<ParsedLists, Vec<String>> {
        let (classes, train) = (file("classInd.txt", classes), file("trainlist01.txt", train));
        texts(parse(&classes, &train, &file("testlist01.txt", test)))
    }

    #[track_caller]
    fn check_problems(classes: &str, train: &str, test: &str, expect: &[&str]) {
        assert_eq!(parse_texts(classes, train, test).expect_err("problems"), expect);
    }

    #[test]
    fn the_class_is_the_folder() {
        let train = "\r\nHandstandPushups/v_HandStandPushups_g01_c01.avi 2\r\n\r\n";
        let test = "Archery/v_Archery_g02_c03.avi\r\nArchery/odd_name.mp4 1";
        let lists = parse_texts(CLASSES, train, test).expect("parsed");
        assert_eq!(lists.classes.expect("classes").names, ["Archery", "HandstandPushups"]);
        let row = |path: &str, split, class: &str, group: &str, file: &str, line| Row {
            group: group.into(),
            ..Row::new(
                path,
                RowSplit::Known(split),
                vec![Label::Name(class.into())],
                Location { file: file.into(), line, row: None },
            )
        };
        let path = "HandstandPushups/v_HandStandPushups_g01_c01.avi";
        let expect = [
            row(path, Split::Train, "HandstandPushups", "HandstandPushups_g01", "trainlist01.txt", 2),
            row("Archery/v_Archery_g02_c03.avi", Split::Test, "Archery", "Archery_g02", "testlist01.txt", 1),
            row("Archery/odd_name.mp4", Split::Test, "Archery", "", "testlist01.txt", 2),
        ];
        assert_eq!(lists.rows, expect);
    }

    #[test]
    fn line_endings_do_not_matter() {
        let (train, test) = ("Archery/v_Archery_g01_c01.avi 1\r\n", "Archery/v_Archery_g02_c01.avi\r\n");
        let windows = parse_texts(&format!("\u{feff}{CLASSES}"), train, test).expect("parsed");
        let unix = parse_texts(&CLASSES.replace('\r', ""), &train.replace('\r', ""), &test.replace('\r', ""));
        assert_eq!(windows.rows, unix.expect("parsed").rows);
    }

    #[test]
    fn all_wrong_lines_are_reported() {
        let train = "Archery/v_Archery_g01_c01.avi 2\nArchery/v_Archery_g01_c02.avi\nArchery 1\n\
                     Archery/v a.avi 1\nArchery/../v_a.avi 1\nArchery/ok.avi 1\nArchery/b.avi x";
        let test = "Archery/ok.mp4\nArchery/fine.avi 2";
        let right = "expected a line such as `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`";
        let expect = [
            "trainlist01.txt:1: class `Archery` has number 2 here; it is 1 in classInd.txt",
            &format!("trainlist01.txt:2: `Archery/v_Archery_g01_c02.avi` is not a valid line; {right}"),
            &format!("trainlist01.txt:3: `Archery 1` is not a valid line; {right}"),
            &format!("trainlist01.txt:4: `Archery/v a.avi 1` is not a valid line; {right}"),
            &format!("trainlist01.txt:5: `Archery/../v_a.avi 1` is not a valid line; {right}"),
            "trainlist01.txt:7: class `Archery` has number x here; it is 1 in classInd.txt",
            "testlist01.txt:2: class `Archery` has number 2 here; it is 1 in classInd.txt",
        ];
        check_problems(CLASSES, train, test, &expect);
    }

    #[test]
    fn class_numbers_have_no_gaps() {
        let gap = "classInd.txt:2: class 2 is missing before class 3; number classes from 1 without gaps";
        check_problems("1 A\n3 B\n4 C", "", "", &[gap]);
        let zero = "classInd.txt:1: `0` is not a valid class number; classes are numbered from 1";
        check_problems("0 A\n1 B", "", "", &[zero]);
        let twice = [
            "classInd.txt:2: class 1 is already in line 1; use each number once",
            "classInd.txt:3: `A` is already class 1; name each class once",
            "classInd.txt:4: `B` is not a valid line; expected a number and a name, such as `1 ApplyEyeMakeup`",
        ];
        check_problems("1 A\n1 B\n2 A\nB", "", "", &twice);
        let none = "classInd.txt:1: the file names no classes; write one per line, such as `1 ApplyEyeMakeup`";
        check_problems("\n\n", "", "", &[none]);
        check_problems(
            "4294967295 A",
            "",
            "",
            &["classInd.txt:1: class 1 is missing before class 4294967295; number classes from 1 without gaps"],
        );
    }

    #[test]
    fn a_line_that_is_not_utf8_is_an_error() {
        let bad =
            ListFile::new("trainlist01.txt", b"Archery/a.avi 1\nArchery/\xff.avi 1\n".into()).expect("not UTF-16");
        let problems = texts(parse(&file("classInd.txt", CLASSES), &bad, &file("testlist01.txt", "")));
        let expect = "trainlist01.txt:2: the line is not valid UTF-8, likely Windows-1252 or another code page with one \
                      byte per letter; save the list as UTF-8";
        assert_eq!(problems.expect_err("problems"), [expect]);
    }

    #[test]
    fn the_class_is_the_folder_of_any_form_of_the_path() {
        for form in [
            "./Archery/v_Archery_g01_c01.avi 1",
            "/data//UCF-101/Archery/v_Archery_g01_c01.avi 1",
            "Archery\\v_Archery_g01_c01.avi 1",
        ] {
            let rows = parse_texts(CLASSES, form, "").expect(form).rows;
            assert_eq!((&rows[0].labels[0], rows[0].group.as_str()), (&Label::Name("Archery".into()), "Archery_g01"));
        }
    }
}
