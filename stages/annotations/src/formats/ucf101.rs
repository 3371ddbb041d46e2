//! UCF101's lists: [`read`].
//!
//! ```text
//! classInd.txt       1 ApplyEyeMakeup
//! trainlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
//! testlist01.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
//! ```
//!
//! Numbers count from 1. The label is the folder's name and never the file's: the real lists have
//! `HandstandPushups/v_HandStandPushups_g01_c01.avi`.

use super::read_list;
use crate::error::AnnotationsError;
use crate::groups;
use crate::label_map;
use crate::lists::{Label, ListFile, Listed, Part, Place, Row, Sink, short};
use pipe_schemas::tables::Split;
use pipe_stage::Sources;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Reads the class list, the training and the test list of a split.
pub(super) fn read(sources: &Sources, split: u32) -> Result<Listed, AnnotationsError> {
    let classes = read_list(sources, "classInd.txt")?;
    let train = read_list(sources, &format!("trainlist0{split}.txt"))?;
    let test = read_list(sources, &format!("testlist0{split}.txt"))?;
    parse(&classes, &train, &test)
}

/// Reads the three files.
///
/// # Errors
/// Every wrong line, in the order of files and lines.
fn parse(classes: &ListFile, train: &ListFile, test: &ListFile) -> Result<Listed, AnnotationsError> {
    let mut sink = Sink::default();
    let list = label_map::numbered(classes, Some(1), &mut sink);
    let numbers = list.names.iter().map(|name| sink.word(name)).zip(1..).collect();
    let parser = Parser { class_file: &classes.name, numbers };
    for (file, split) in [(train, Split::Train), (test, Split::Test)] {
        for (line, text) in file.lines(&mut sink) {
            match parser.row(text, split, file.place(line), &mut sink) {
                Ok(row) => sink.row(row),
                Err((message, help)) => sink.problem(file.place(line), message, help),
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
    /// Reads a line; what is wrong comes with what would be right.
    fn row(&self, text: &str, split: Split, place: Place, sink: &mut Sink) -> Result<Row, (String, String)> {
        let example = match split {
            Split::Train => "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
            Split::Test => "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        };
        let malformed = || (format!("`{}` is no video of a list", short(text)), format!("write it as in `{example}`"));
        let mut fields = text.split_whitespace();
        let (path, number) = match (fields.next(), fields.next(), fields.next(), split) {
            (Some(path), number @ Some(_), None, _) => (path, number),
            (Some(path), None, None, Split::Test) => (path, None),
            _ => return Err(malformed()),
        };
        let (class, file_name) = path.split_once('/').ok_or_else(malformed)?;
        let (stem, extension) = file_name.rsplit_once('.').ok_or_else(malformed)?;
        if class.is_empty() || stem.is_empty() || extension.is_empty() || path.contains('\\') || stem.contains('/') {
            return Err(malformed());
        }
        if let (Some(number), Some(expected)) = (number, self.numbers.get(class))
            && number.parse().ok() != Some(*expected)
        {
            let message = format!("`{class}` has the number {}", short(number));
            return Err((message, format!("{} says {expected}", self.class_file)));
        }
        let group = groups::ucf101(stem).map(|group| format!("{class}_{group}")).unwrap_or_default();
        let label = Label::Name(sink.word(class));
        Ok(Row { group, ..Row::new(path, Part::Of(split), vec![label], place) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, texts};

    const CLASSES: &str = "1 Archery\r\n2 HandstandPushups\r\n";

    fn parse_texts(classes: &str, train: &str, test: &str) -> Result<Listed, Vec<String>> {
        let (classes, train) = (file("classInd.txt", classes), file("trainlist01.txt", train));
        texts(parse(&classes, &train, &file("testlist01.txt", test)))
    }

    #[track_caller]
    fn check_problems(classes: &str, train: &str, test: &str, expect: &[&str]) {
        assert_eq!(parse_texts(classes, train, test).expect_err("problems"), expect);
    }

    #[test]
    fn the_label_is_the_folder() {
        let train = "\r\nHandstandPushups/v_HandStandPushups_g01_c01.avi 2\r\n\r\n";
        let test = "Archery/v_Archery_g02_c03.avi\r\nArchery/odd_name.mp4 1";
        let lists = parse_texts(CLASSES, train, test).expect("parsed");
        assert_eq!(lists.classes.expect("classes").names, ["Archery", "HandstandPushups"]);
        let row = |path: &str, split, class: &str, group: &str, file: &str, line| Row {
            group: group.into(),
            ..Row::new(path, Part::Of(split), vec![Label::Name(class.into())], Place { file: file.into(), line })
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
    fn lists_of_unix_and_windows_are_equal() {
        let (train, test) = ("Archery/v_Archery_g01_c01.avi 1\r\n", "Archery/v_Archery_g02_c01.avi\r\n");
        let windows = parse_texts(&format!("\u{feff}{CLASSES}"), train, test).expect("parsed");
        let unix = parse_texts(&CLASSES.replace('\r', ""), &train.replace('\r', ""), &test.replace('\r', ""));
        assert_eq!(windows.rows, unix.expect("parsed").rows);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let train = "Archery/v_Archery_g01_c01.avi 2\nArchery/v_Archery_g01_c02.avi\nArchery 1\n\
                     Archery/v a.avi 1\nArchery/../v_a.avi 1\nArchery/ok.avi 1\nArchery/b.avi x";
        let test = "Archery/ok.mp4\nArchery/fine.avi 2";
        let right = "write it as in `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`";
        let expect = [
            "trainlist01.txt:1: `Archery` has the number 2; classInd.txt says 1",
            &format!("trainlist01.txt:2: `Archery/v_Archery_g01_c02.avi` is no video of a list; {right}"),
            &format!("trainlist01.txt:3: `Archery 1` is no video of a list; {right}"),
            &format!("trainlist01.txt:4: `Archery/v a.avi 1` is no video of a list; {right}"),
            &format!("trainlist01.txt:5: `Archery/../v_a.avi 1` is no video of a list; {right}"),
            "trainlist01.txt:7: `Archery` has the number x; classInd.txt says 1",
            "testlist01.txt:2: `Archery` has the number 2; classInd.txt says 1",
        ];
        check_problems(CLASSES, train, test, &expect);
    }

    #[test]
    fn class_numbers_are_whole() {
        let gap = "classInd.txt:2: class 2 is missing before class 3; number the classes from 1 without gaps";
        check_problems("1 A\n3 B\n4 C", "", "", &[gap]);
        let zero = "classInd.txt:1: `0` is no class number; numbers count from 1";
        check_problems("0 A\n1 B", "", "", &[zero]);
        let twice = [
            "classInd.txt:2: class 1 is in line 1 already; give each class a number of its own",
            "classInd.txt:3: `A` is class 1 already; name each class once",
            "classInd.txt:4: `B` is no class; write its number and its name, as in `1 ApplyEyeMakeup`",
        ];
        check_problems("1 A\n1 B\n2 A\nB", "", "", &twice);
        let none = "classInd.txt:1: there is no class; write one a line, as in `1 ApplyEyeMakeup`";
        check_problems("\n\n", "", "", &[none]);
        check_problems(
            "4294967295 A",
            "",
            "",
            &["classInd.txt:1: class 1 is missing before class 4294967295; number the classes from 1 without gaps"],
        );
    }

    #[test]
    fn what_is_no_text_is_an_error_of_its_line() {
        let bad = ListFile { name: "trainlist01.txt".into(), bytes: b"Archery/a.avi 1\nArchery/\xff.avi 1\n".into() };
        let problems = texts(parse(&file("classInd.txt", CLASSES), &bad, &file("testlist01.txt", "")));
        let expect = ["trainlist01.txt:2: the line is no text; write the list in UTF-8"];
        assert_eq!(problems.expect_err("problems"), expect);
    }
}
