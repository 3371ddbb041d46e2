//! Lists with a path and numbers a line: [`parse`].
//!
//! ```text
//! MMAction2, video list                some/path/000.mp4 1
//! MMAction2, several labels            some/path/000.mp4 0 3
//! SlowFast, with another separator     some/path/000.mp4,1
//! MMAction2, rawframe list             some/path/v_ApplyEyeMakeup_g08_c01 119 0
//! the same with an offset              some/path/v_ApplyEyeMakeup_g08_c01 0 119 0
//! ```
//!
//! Fields are taken from the end, so that a path may hold what parts them. A line without a label is an error; elsewhere
//! it is the label -1.

use super::Role;
use crate::lists::{Label, ListFile, Row, Sink, name_of, short};
use pipe_schemas::stages::annotations::AnnotationsParams;

/// What may part fields, if the parameters don't say it.
const DELIMITERS: [char; 5] = [' ', '\t', ',', ';', '|'];

/// How the lines of a list are made.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Numbers between the path and the labels.
    skipped: usize,
    multi_class: bool,
    delimiter: Option<String>,
    example: &'static str,
}

impl Shape {
    /// Returns the shape of video lists.
    pub(super) fn videos(params: &AnnotationsParams) -> Self {
        let AnnotationsParams { multi_class, delimiter, .. } = params.clone();
        let example = if multi_class { "some/path/000.mp4 0 3" } else { "some/path/000.mp4 1" };
        Self { skipped: 0, multi_class, delimiter, example }
    }

    /// Returns the shape of rawframe lists.
    pub(super) fn rawframes(params: &AnnotationsParams) -> Self {
        let AnnotationsParams { multi_class, with_offset, delimiter, .. } = params.clone();
        let (skipped, example) = if with_offset { (2, "some/folder 0 119 1") } else { (1, "some/folder 119 1") };
        Self { skipped, multi_class, delimiter, example }
    }
}

/// Reads the rows of a list.
pub(super) fn parse(file: &ListFile, role: Role, shape: &Shape, sink: &mut Sink) {
    let lines = file.lines(sink);
    let Some(delimiter) = shape.delimiter.clone().or_else(|| lines.first().map(|(_, line)| guess(line))) else {
        return;
    };
    for (line, text) in lines {
        let place = file.place(line);
        match fields(text, &delimiter, shape) {
            Ok((path, labels)) => {
                let part = role.part(None, &place, sink);
                sink.row(Row::new(path, part, labels.into_iter().map(Label::Number).collect(), place));
            }
            Err(message) => {
                let mut help = format!("write it as in `{}`", shape.example.replace(' ', &delimiter));
                if shape.delimiter.is_none() && guess(text) != delimiter {
                    help = format!("{help}, like the first line, or give `delimiter`");
                }
                sink.problem(place, message, help);
            }
        }
    }
}

/// Returns the last character of a line that may part fields.
fn guess(line: &str) -> String {
    line.chars().rfind(|c| DELIMITERS.contains(c)).unwrap_or(' ').to_string()
}

/// Parts a line into its path and its labels.
fn fields<'a>(text: &'a str, delimiter: &str, shape: &Shape) -> Result<(&'a str, Vec<i64>), String> {
    let (mut rest, mut numbers) = (text, Vec::new());
    let wanted = shape.skipped + 1;
    while shape.multi_class || numbers.len() < wanted {
        let Some((before, last)) = rest.rsplit_once(delimiter) else { break };
        let Ok(number) = last.trim().parse::<i64>() else { break };
        numbers.push(number);
        rest = before.trim_end();
    }
    if numbers.len() < wanted || rest.is_empty() {
        return Err(missing(text, delimiter, shape, numbers.len()));
    }
    if let Some((path, last)) = rest.rsplit_once(delimiter).filter(|_| !shape.multi_class)
        && last.trim().parse::<i64>().is_ok()
        && name_of(path).contains('.')
    {
        let what = if shape.skipped == 0 { "more than one label" } else { "more numbers than this format has" };
        return Err(format!("`{}` has {what}", short(text)));
    }
    numbers.reverse();
    if numbers[..shape.skipped].iter().any(|number| *number < 0) {
        return Err(format!("`{}` has a negative number of frames", short(text)));
    }
    Ok((rest.trim_matches('"'), numbers.split_off(shape.skipped)))
}

fn missing(text: &str, delimiter: &str, shape: &Shape, found: usize) -> String {
    match text.rsplit_once(delimiter) {
        Some((_, last)) if found == 0 && !last.contains('.') => format!("`{}` is no label number", short(last.trim())),
        _ if found > 0 && shape.skipped > 0 => format!("`{}` lacks a number", short(text)),
        _ => format!("`{}` has no label", short(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, list, texts};
    use serde_json::{Value, json};

    fn run(file: &ListFile, rawframes: bool, params: Value) -> Result<Vec<(String, Vec<i64>)>, Vec<String>> {
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        let shape = if rawframes { Shape::rawframes(&params) } else { Shape::videos(&params) };
        let mut sink = Sink::default();
        parse(file, Role(None), &shape, &mut sink);
        let number = |label: Label| if let Label::Number(number) = label { number } else { panic!("a name") };
        let row = |row: Row| (row.path, row.labels.into_iter().map(number).collect());
        texts(sink.finish(None)).map(|listed| listed.rows.into_iter().map(row).collect())
    }

    #[track_caller]
    fn check(text: &str, rawframes: bool, params: Value, expect: &[(&str, &[i64])]) {
        let expect: Vec<_> = expect.iter().map(|(path, labels)| ((*path).to_owned(), labels.to_vec())).collect();
        assert_eq!(run(&file("l.txt", text), rawframes, params).expect("rows"), expect);
    }

    #[track_caller]
    fn check_problems(text: &str, rawframes: bool, params: Value, expect: &[&str]) {
        assert_eq!(run(&file("l.txt", text), rawframes, params).expect_err("problems"), expect);
    }

    #[test]
    fn paths_may_hold_what_parts_the_fields() {
        check(
            "drinking (31).mp4 1\na  b.mp4  0 \r\n",
            false,
            json!({}),
            &[("drinking (31).mp4", &[1]), ("a  b.mp4", &[0])],
        );
        check("a, b.mp4,1\nc d.mp4, 2", false, json!({}), &[("a, b.mp4", &[1]), ("c d.mp4", &[2])]);
        check("a b.mp4\t-1", false, json!({}), &[("a b.mp4", &[-1])]);
        check("a.mp4::1", false, json!({"delimiter": "::"}), &[("a.mp4", &[1])]);
        check("a.mp4 0 3\nb c.mp4 2", false, json!({"multi_class": true}), &[("a.mp4", &[0, 3]), ("b c.mp4", &[2])]);
        check("a 5 1\nb c 5 3", true, json!({}), &[("a", &[1]), ("b c", &[3])]);
        check("a 5 1\nb 5 3 5", true, json!({"multi_class": true}), &[("a", &[1]), ("b", &[3, 5])]);
        check("a 0 299 7", true, json!({"with_offset": true}), &[("a", &[7])]);
    }

    #[test]
    fn lines_without_a_label_are_errors() {
        let right = "write it as in `some/path/000.mp4 1`";
        check_problems(
            "a.mp4 1\nb.mp4\nmy c.mp4\nd.mp4 run",
            false,
            json!({}),
            &[
                &format!("l.txt:2: `b.mp4` has no label; {right}"),
                &format!("l.txt:3: `my c.mp4` has no label; {right}"),
                &format!("l.txt:4: `run` is no label number; {right}"),
            ],
        );
        check_problems(
            "a.mp4 1 2",
            false,
            json!({}),
            &[&format!("l.txt:1: `a.mp4 1 2` has more than one label; {right}")],
        );
        let alike = ", like the first line, or give `delimiter`";
        check_problems(
            "a.mp4,1\nb.mp4 1",
            false,
            json!({}),
            &[&format!("l.txt:2: `b.mp4 1` has no label; write it as in `some/path/000.mp4,1`{alike}")],
        );
        check_problems(
            "a 5\nb -5 1",
            true,
            json!({}),
            &[
                "l.txt:1: `a 5` lacks a number; write it as in `some/folder 119 1`",
                "l.txt:2: `b -5 1` has a negative number of frames; write it as in `some/folder 119 1`",
            ],
        );
    }

    #[test]
    fn real_lists_are_read() {
        let check = |path: &str, rawframes, params: Value, count: usize, first: (&str, &[i64])| {
            let Some(file) = list(path) else { return };
            let rows = run(&file, rawframes, params).expect(path);
            assert_eq!((rows.len(), &rows[0]), (count, &(first.0.to_owned(), first.1.to_vec())), "{path}");
        };
        let (one, several) = (json!({}), json!({"multi_class": true}));
        check("mmaction2/tests/video_test_list.txt", false, one.clone(), 2, ("test.mp4", &[0]));
        check("mmaction2/tests/video_test_list_multi_label.txt", false, several.clone(), 2, ("test.mp4", &[0, 3]));
        check("mmaction2/tests/rawframe_test_list.txt", true, one.clone(), 2, ("imgs", &[127]));
        check("mmaction2/tests/rawframe_test_list_multi_label.txt", true, several, 2, ("imgs", &[1]));
        let train = "ucf101/rawframe_style/train_rgb_split1.txt";
        check(train, true, one.clone(), 9_537, ("v_ApplyEyeMakeup_g08_c01", &[0]));
        check("ucf101/rawframe_style/val_rgb_split1.txt", true, one, 3_783, ("v_ApplyEyeMakeup_g01_c01", &[0]));
        let offset = json!({"with_offset": true});
        check("kinetics/k400_valid_processed.txt", true, offset.clone(), 19_877, ("0wR5jVB-WPk_000417_000427", &[0]));
        let sthv2 = "sthv2/something-something-v2-validation-processed.txt";
        check(sthv2, true, offset, 24_777, ("74225", &[140]));
    }
}
