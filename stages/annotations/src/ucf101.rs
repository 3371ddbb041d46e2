//! UCF101's lists: [`parse`].
//!
//! ```text
//! classInd.txt       1 ApplyEyeMakeup
//! trainlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
//! testlist01.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
//! ```
//!
//! Numbers count from 1. The label is the folder's name and never the file's: the real lists have
//! `HandstandPushups/v_HandStandPushups_g01_c01.avi`.

use crate::error::Problem;
use pipe_schemas::tables::Split;
use std::collections::BTreeMap;

/// A list file as read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListFile<'a> {
    /// By which messages name it.
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
}

/// What the three files say.
#[derive(Debug, PartialEq)]
pub(crate) struct Lists {
    /// By index, which is the number in the file less one.
    pub(crate) classes: Vec<String>,
    /// In the order of the files, training first.
    pub(crate) entries: Vec<Entry>,
}

/// A video in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As listed: `Biking/v_Biking_g01_c04.avi`.
    pub(crate) path: String,
    pub(crate) split: Split,
    /// From 0.
    pub(crate) class_index: u32,
    /// The class and `gNN`: `Biking_g01`. Empty if the name has no group.
    pub(crate) group: String,
    /// The list, by file name.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
}

impl Entry {
    /// Returns the path without its extension.
    pub(crate) fn video_id(&self) -> &str {
        self.path.rsplit_once('.').map_or(&self.path, |(stem, _)| stem)
    }

    /// Returns where it stands: `trainlist01.txt:12`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Reads the class list, a training and a test list.
///
/// # Errors
/// Every wrong line, in the order of files and lines.
pub(crate) fn parse(classes: ListFile<'_>, train: ListFile<'_>, test: ListFile<'_>) -> Result<Lists, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut parser = Parser { classes_name: classes.name, indices: BTreeMap::new(), seen: BTreeMap::new() };
    let names = parser.classes(classes, &mut problems);
    let mut entries = parser.entries(train, Split::Train, &mut problems);
    entries.extend(parser.entries(test, Split::Test, &mut problems));
    if problems.is_empty() {
        return Ok(Lists { classes: names, entries });
    }
    let files = [classes.name, train.name, test.name];
    problems.sort_by_key(|problem| (files.iter().position(|name| *name == problem.file), problem.line));
    Err(problems)
}

struct Parser<'a> {
    classes_name: &'a str,
    /// Class indices by name.
    indices: BTreeMap<String, u32>,
    /// Where each video is listed, by its path without the extension.
    seen: BTreeMap<String, String>,
}

impl Parser<'_> {
    /// Reads the class names, by index.
    fn classes(&mut self, file: ListFile<'_>, problems: &mut Vec<Problem>) -> Vec<String> {
        let mut by_number: BTreeMap<u32, (String, u32)> = BTreeMap::new();
        for (line, text) in lines(file, problems) {
            let mut wrong = |message: String, help: &str| problems.push(problem(file, line, message, help));
            let fields: Vec<&str> = text.split_whitespace().collect();
            let &[number, name] = &fields[..] else {
                wrong(
                    format!("`{}` is no class", short(text)),
                    "write its number and its name, as in `1 ApplyEyeMakeup`",
                );
                continue;
            };
            let Some(number) = number.parse::<u32>().ok().filter(|number| *number > 0) else {
                wrong(format!("`{}` is no class number", short(number)), "numbers count from 1");
                continue;
            };
            if let Some((_, first)) = by_number.get(&number) {
                wrong(format!("class {number} is in line {first} already"), "give each class a number of its own");
            } else if let Some(first) = self.indices.get(name) {
                wrong(format!("`{}` is class {} already", short(name), first + 1), "name each class once");
            } else {
                self.indices.insert(name.to_owned(), number - 1);
                by_number.insert(number, (name.to_owned(), line));
            }
        }
        for ((number, (_, line)), expected) in by_number.iter().zip(1_u32..) {
            if *number != expected {
                let message = format!("class {expected} is missing before class {number}");
                problems.push(problem(file, *line, message, "number the classes from 1 without gaps"));
                break; // all that follow are off by as much
            }
        }
        if by_number.is_empty() {
            problems.push(problem(file, 1, "there is no class".into(), "write one a line, as in `1 ApplyEyeMakeup`"));
        }
        by_number.into_values().map(|(name, _)| name).collect()
    }

    /// Reads the videos of a list.
    fn entries(&mut self, file: ListFile<'_>, split: Split, problems: &mut Vec<Problem>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (line, text) in lines(file, problems) {
            match self.entry(text, split) {
                Ok(entry) => {
                    let entry = Entry { file: file.name.to_owned(), line, ..entry };
                    match self.seen.get(entry.video_id()) {
                        Some(first) => {
                            let message = format!("`{}` is listed already, at {first}", entry.video_id());
                            problems.push(problem(file, line, message, "list each video once, in one list"));
                        }
                        None => {
                            self.seen.insert(entry.video_id().to_owned(), entry.place());
                            entries.push(entry);
                        }
                    }
                }
                Err((message, help)) => problems.push(problem(file, line, message, &help)),
            }
        }
        entries
    }

    /// Reads a line; what is wrong comes with what would be right.
    fn entry(&self, text: &str, split: Split) -> Result<Entry, (String, String)> {
        let example = match split {
            Split::Train => "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
            Split::Test => "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        };
        let malformed = || (format!("`{}` is no video of a list", short(text)), format!("write it as in `{example}`"));
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (path, number) = match (&fields[..], split) {
            (&[path, number], _) => (path, Some(number)),
            (&[path], Split::Test) => (path, None),
            _ => return Err(malformed()),
        };
        let (class, file_name) = path.split_once('/').ok_or_else(malformed)?;
        let (stem, extension) = file_name.rsplit_once('.').ok_or_else(malformed)?;
        if class.is_empty() || stem.is_empty() || extension.is_empty() || path.contains('\\') || stem.contains('/') {
            return Err(malformed());
        }
        let class_index = *self.indices.get(class).ok_or_else(|| self.unknown_class(class))?;
        if let Some(number) = number
            && number.parse().ok() != Some(class_index + 1)
        {
            let message = format!("`{class}` has the number {}", short(number));
            return Err((message, format!("{} says {}", self.classes_name, class_index + 1)));
        }
        let group = group(stem).map(|group| format!("{class}_{group}")).unwrap_or_default();
        Ok(Entry { path: path.to_owned(), split, class_index, group, file: String::new(), line: 0 })
    }

    fn unknown_class(&self, class: &str) -> (String, String) {
        let near = self.indices.keys().find(|name| name.eq_ignore_ascii_case(class));
        let help = match near {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the folder must be a class of {}", self.classes_name),
        };
        (format!("`{}` is no class", short(class)), help)
    }
}

fn problem(file: ListFile<'_>, line: u32, message: String, help: &str) -> Problem {
    Problem { file: file.name.to_owned(), line, message, help: help.to_owned() }
}

/// Returns the lines that are not blank, with their numbers, without white space around them.
fn lines<'a>(file: ListFile<'a>, problems: &mut Vec<Problem>) -> Vec<(u32, &'a str)> {
    let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.bytes);
    let mut lines = Vec::new();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        match str::from_utf8(text) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => lines.push((line, text.trim())),
            Err(_) => problems.push(problem(file, line, "the line is no text".into(), "write the list in UTF-8")),
        }
    }
    lines
}

/// Returns the start of a text that may be anything.
fn short(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut start: String = text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        start.push('…');
    }
    start
}

/// Returns `g01` of `v_Biking_g01_c04`.
fn group(stem: &str) -> Option<&str> {
    let numbered = |part: &str, letter: char| {
        part.strip_prefix(letter).is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let (rest, clip) = stem.rsplit_once('_')?;
    let (_, group) = rest.rsplit_once('_')?;
    (numbered(clip, 'c') && numbered(group, 'g')).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: &str = "1 Archery\r\n2 HandstandPushups\r\n";

    fn parse_texts(classes: &str, train: &str, test: &str) -> Result<Lists, Vec<String>> {
        let file = |name, text: &'static str| ListFile { name, bytes: text.as_bytes() };
        let leak = |text: &str| -> &'static str { text.to_owned().leak() };
        let lists = parse(
            file("classInd.txt", leak(classes)),
            file("trainlist01.txt", leak(train)),
            file("testlist01.txt", leak(test)),
        );
        lists.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn check_problems(classes: &str, train: &str, test: &str, expect: &[&str]) {
        assert_eq!(parse_texts(classes, train, test).expect_err("problems"), expect);
    }

    #[test]
    fn the_label_is_the_folder() {
        let train = "\r\nHandstandPushups/v_HandStandPushups_g01_c01.avi 2\r\n\r\n";
        let test = "Archery/v_Archery_g02_c03.avi\r\nArchery/odd name-free.mp4 1";
        let lists = parse_texts(CLASSES, train, &test.replace("odd name-free", "odd_name")).expect("parsed");
        assert_eq!(lists.classes, ["Archery", "HandstandPushups"]);
        let entry = |path: &str, split, class_index, group: &str, file: &str, line| Entry {
            path: path.into(),
            split,
            class_index,
            group: group.into(),
            file: file.into(),
            line,
        };
        let path = "HandstandPushups/v_HandStandPushups_g01_c01.avi";
        let expect = [
            entry(path, Split::Train, 1, "HandstandPushups_g01", "trainlist01.txt", 2),
            entry("Archery/v_Archery_g02_c03.avi", Split::Test, 0, "Archery_g02", "testlist01.txt", 1),
            entry("Archery/odd_name.mp4", Split::Test, 0, "", "testlist01.txt", 2),
        ];
        assert_eq!(lists.entries, expect);
        assert_eq!(lists.entries[0].video_id(), "HandstandPushups/v_HandStandPushups_g01_c01");
    }

    #[test]
    fn lists_of_unix_and_windows_are_equal() {
        let (train, test) = ("Archery/v_Archery_g01_c01.avi 1\r\n", "Archery/v_Archery_g02_c01.avi\r\n");
        let windows = parse_texts(&format!("\u{feff}{CLASSES}"), train, test);
        assert_eq!(windows, parse_texts(&CLASSES.replace('\r', ""), &train.replace('\r', ""), &test.replace('\r', "")));
        assert!(windows.is_ok());
    }

    #[test]
    fn every_wrong_line_is_named() {
        let train = "Archery/v_Archery_g01_c01.avi 2\nArchery/v_Archery_g01_c02.avi\nArchery 1\n\
                     HandStandPushups/v_a.avi 2\nBiking/v_a.avi 1\nArchery/v a.avi 1\nArchery/../v_a.avi 1\n\
                     Archery/ok.avi 1\nArchery/ok.avi 1\nArchery/b.avi x";
        let test = "Archery/ok.mp4\nArchery/fine.avi 2";
        let right = "write it as in `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`";
        let expect = [
            "trainlist01.txt:1: `Archery` has the number 2; classInd.txt says 1",
            &format!("trainlist01.txt:2: `Archery/v_Archery_g01_c02.avi` is no video of a list; {right}"),
            &format!("trainlist01.txt:3: `Archery 1` is no video of a list; {right}"),
            "trainlist01.txt:4: `HandStandPushups` is no class; did you mean `HandstandPushups`?",
            "trainlist01.txt:5: `Biking` is no class; the folder must be a class of classInd.txt",
            &format!("trainlist01.txt:6: `Archery/v a.avi 1` is no video of a list; {right}"),
            &format!("trainlist01.txt:7: `Archery/../v_a.avi 1` is no video of a list; {right}"),
            "trainlist01.txt:9: `Archery/ok` is listed already, at trainlist01.txt:8; list each video once, in one list",
            "trainlist01.txt:10: `Archery` has the number x; classInd.txt says 1",
            "testlist01.txt:1: `Archery/ok` is listed already, at trainlist01.txt:8; list each video once, in one list",
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
        let bad = ListFile { name: "trainlist01.txt", bytes: b"Archery/a.avi 1\nArchery/\xff.avi 1\n" };
        let file = |name, text: &'static str| ListFile { name, bytes: text.as_bytes() };
        let problems = parse(file("classInd.txt", CLASSES), bad, file("testlist01.txt", "")).expect_err("problems");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), "trainlist01.txt:2: the line is no text; write the list in UTF-8");
    }

    #[test]
    fn groups_are_read_from_the_end() {
        assert_eq!(group("v_Biking_g01_c04"), Some("g01"));
        assert_eq!(group("v_g_g9_g12_c1"), Some("g12"));
        for none in ["v_Biking", "g01_c04", "v_Biking_g01", "v_Biking_g_c01", "v_Biking_gx1_c01"] {
            assert_eq!(group(none), None, "{none}");
        }
    }
}
