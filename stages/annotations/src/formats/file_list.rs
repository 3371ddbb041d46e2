//! Lists with one path and its labels per line: [`parse_videos`] and [`parse_rawframes`].
//!
//! ```text
//! MMAction2, video list                some/path/000.mp4 1
//! MMAction2, multi-label               some/path/000.mp4 0 3
//! SlowFast, with another separator     some/path/000.mp4,1
//! MMAction2, rawframe list             some/path/v_ApplyEyeMakeup_g08_c01 119 0
//! MMAction2, rawframes with offset     some/path/v_ApplyEyeMakeup_g08_c01 0 119 0
//! ```
//!
//! Fields are read from the end of the line, so a path may contain the delimiter. A line without a label is an error; SlowFast
//! and MMAction2 read it as the label -1.

use super::Role;
use crate::labels::Number;
use crate::lists::{Label, ListFile, Row, Sink, name_of, shorten};
use pipe_schemas::stages::annotations::AnnotationsParams;

/// Delimiters to detect.
const DELIMITERS: [char; 5] = [' ', '\t', ',', ';', '|'];

const VIDEO_EXTENSIONS: [&str; 11] = ["avi", "mp4", "mkv", "mov", "webm", "mpg", "mpeg", "m4v", "wmv", "flv", "3gp"];

/// The fields of a line.
#[derive(Debug, Clone)]
struct LineFormat {
    /// Number of numeric fields between the path and the labels.
    num_skipped: usize,
    multi_class: bool,
    delimiter: Option<String>,
    example: &'static str,
}

impl LineFormat {
    fn videos(params: &AnnotationsParams) -> Self {
        let AnnotationsParams { multi_class, delimiter, .. } = params.clone();
        let example = if multi_class { "some/path/000.mp4 0 3" } else { "some/path/000.mp4 1" };
        Self { num_skipped: 0, multi_class, delimiter, example }
    }

    fn rawframes(params: &AnnotationsParams) -> Self {
        let AnnotationsParams { multi_class, with_offset, delimiter, .. } = params.clone();
        let (num_skipped, example) = if with_offset { (2, "some/folder 0 119 1") } else { (1, "some/folder 119 1") };
        Self { num_skipped, multi_class, delimiter, example }
    }
}

/// Returns the example of a line with a delimiter; a tab is written as `\t`.
fn example(format: &LineFormat, delimiter: &str) -> String {
    format.example.replace(' ', &delimiter.escape_debug().to_string())
}

/// Parses a video list.
pub(super) fn parse_videos(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    parse(file, role, &LineFormat::videos(params), sink);
}

/// Parses a rawframe list.
pub(super) fn parse_rawframes(file: &ListFile, role: Role, params: &AnnotationsParams, sink: &mut Sink) {
    parse(file, role, &LineFormat::rawframes(params), sink);
}

/// Returns whether every line is the path of a video and one number.
pub(super) fn is_video_list(file: &ListFile, _params: &AnnotationsParams) -> bool {
    let mut sink = Sink::default();
    parse_videos(file, Role(None), &AnnotationsParams::default(), &mut sink);
    let Ok(lists) = sink.finish(None) else { return false };
    let is_video = |path: &str| {
        let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        extension.is_some_and(|extension| VIDEO_EXTENSIONS.contains(&extension.as_str()))
    };
    let is_label = |labels: &[Label]| matches!(labels, [Label::Number(number)] if *number >= 0);
    !lists.rows.is_empty() && lists.rows.iter().all(|row| is_video(&row.path) && is_label(&row.labels))
}

fn parse(file: &ListFile, role: Role, format: &LineFormat, sink: &mut Sink) {
    let lines = file.lines(sink);
    let defined = format.delimiter.clone().or_else(|| file.separator().map(str::to_owned));
    let Some(delimiter) = defined.or_else(|| lines.first().map(|(_, line)| detect_delimiter(line))) else { return };
    for (line, text) in lines {
        let location = file.location(line);
        match fields(text, &delimiter, format) {
            Ok((path, labels)) => {
                let split = role.split(None, &location, sink);
                sink.push(Row::new(path, split, labels.into_iter().map(Label::Number).collect(), location));
            }
            Err(message) => {
                let mut help = format!("expected a line such as `{}`", example(format, &delimiter));
                if format.num_skipped == 1 {
                    help = format!("{help}, or set `with_offset: true` if lines also have the first frame");
                }
                if format.delimiter.is_none() && detect_delimiter(text) != delimiter {
                    help = format!("{help}, with the delimiter of the first line; otherwise set `delimiter`");
                }
                sink.error(location, message, help);
            }
        }
    }
}

/// Returns the last character of a line that may be a delimiter. In `a.mp4, 0`, that is the comma.
fn detect_delimiter(line: &str) -> String {
    let mut last = line.chars().rev().skip_while(|c| !DELIMITERS.contains(c));
    let run: Vec<char> = last.by_ref().take_while(|c| DELIMITERS.contains(c)).collect();
    let delimiter = run.iter().find(|c| **c != ' ').or(run.first());
    delimiter.copied().unwrap_or(' ').to_string()
}

/// Splits a line into its path and its labels.
fn fields<'a>(text: &'a str, delimiter: &str, format: &LineFormat) -> Result<(&'a str, Vec<i64>), String> {
    let (mut rest, mut numbers) = (text, Vec::new());
    let wanted = format.num_skipped + 1;
    while format.multi_class || numbers.len() < wanted {
        let Some((before, last)) = rest.rsplit_once(delimiter) else { break };
        match Number::parse(last) {
            Some(Number::Whole(number)) => numbers.push(number),
            Some(Number::Fraction) => return Err(format!("`{}` is not a whole number", shorten(last.trim()))),
            None => break,
        }
        rest = before.trim_end();
    }
    if numbers.len() < wanted || rest.is_empty() {
        return Err(missing_field(text, delimiter, format, numbers.len()));
    }
    numbers.reverse();
    if let Some(problem) = extra_number(rest, delimiter, format).or_else(|| frames_problem(&numbers, format)) {
        return Err(format!("`{}` has {problem}", shorten(text)));
    }
    Ok((rest.trim_matches('"'), numbers.split_off(format.num_skipped)))
}

/// Returns the problem of a path that ends with a number that is likely a field. The path of a video may end so, as in
/// `take 2`, if it has no extension; a folder of frames may not, because then a list with one more column looks the same.
fn extra_number(path: &str, delimiter: &str, format: &LineFormat) -> Option<&'static str> {
    let (before, last) = path.rsplit_once(delimiter).filter(|_| !format.multi_class)?;
    Number::whole(last)?;
    match format.num_skipped {
        0 => name_of(before).contains('.').then_some("more than one label"),
        _ => Some("too many numbers"),
    }
}

/// Returns the problem of the numbers before the labels: the first frame, if there is one, and the number of frames.
fn frames_problem(numbers: &[i64], format: &LineFormat) -> Option<&'static str> {
    let (last, first) = numbers[..format.num_skipped].split_last()?;
    if *last < 0 || first.iter().any(|number| *number < 0) {
        Some("a negative number of frames")
    } else {
        (*last == 0).then_some("no frames")
    }
}

/// Returns the message for a line with too few numeric fields.
fn missing_field(text: &str, delimiter: &str, format: &LineFormat, found: usize) -> String {
    match text.rsplit_once(delimiter) {
        Some((_, last)) if found == 0 && !last.contains('.') => {
            format!("`{}` is not a numeric label", shorten(last.trim()))
        }
        _ if found > 0 && format.num_skipped > 0 => format!("`{}` has too few numbers", shorten(text)),
        _ => format!("`{}` has no label", shorten(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{file, list, texts};
    use serde_json::{Value, json};

    fn run(file: &ListFile, rawframes: bool, params: Value) -> Result<Vec<(String, Vec<i64>)>, Vec<String>> {
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        let parse = if rawframes { parse_rawframes } else { parse_videos };
        let mut sink = Sink::default();
        parse(file, Role(None), &params, &mut sink);
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
    fn paths_may_contain_the_delimiter() {
        check(
            "drinking (31).mp4 1\na  b.mp4  0 \r\n",
            false,
            json!({}),
            &[("drinking (31).mp4", &[1]), ("a  b.mp4", &[0])],
        );
        check("a, b.mp4,1\nc d.mp4, 2", false, json!({}), &[("a, b.mp4", &[1]), ("c d.mp4", &[2])]);
        check("a b.mp4\t-1", false, json!({}), &[("a b.mp4", &[-1])]);
        check("a.mp4, 1\nb c.mp4, 2", false, json!({}), &[("a.mp4", &[1]), ("b c.mp4", &[2])]);
        check(
            "video 2.mp4 1\ntake 2 1\nc.mp4 2021.0",
            false,
            json!({}),
            &[("video 2.mp4", &[1]), ("take 2", &[1]), ("c.mp4", &[2021])],
        );
        check("a.mp4::1", false, json!({"delimiter": "::"}), &[("a.mp4", &[1])]);
        check("a.mp4 0 3\nb c.mp4 2", false, json!({"multi_class": true}), &[("a.mp4", &[0, 3]), ("b c.mp4", &[2])]);
        check("a 5 1\nb c 5 3", true, json!({}), &[("a", &[1]), ("b c", &[3])]);
        check("a 5 1\nb 5 3 5", true, json!({"multi_class": true}), &[("a", &[1]), ("b", &[3, 5])]);
        check("a 0 299 7", true, json!({"with_offset": true}), &[("a", &[7])]);
    }

    #[test]
    fn lines_without_a_label_are_errors() {
        let right = "expected a line such as `some/path/000.mp4 1`";
        check_problems(
            "a.mp4 1\nb.mp4\nmy c.mp4\nd.mp4 run",
            false,
            json!({}),
            &[
                &format!("l.txt:2: `b.mp4` has no label; {right}"),
                &format!("l.txt:3: `my c.mp4` has no label; {right}"),
                &format!("l.txt:4: `run` is not a numeric label; {right}"),
            ],
        );
        check_problems(
            "a.mp4 1 2",
            false,
            json!({}),
            &[&format!("l.txt:1: `a.mp4 1 2` has more than one label; {right}")],
        );
        check_problems("a.mp4 3.5", false, json!({}), &[&format!("l.txt:1: `3.5` is not a whole number; {right}")]);
        let delimiter = ", with the delimiter of the first line; otherwise set `delimiter`";
        check_problems(
            "a.mp4,1\nb.mp4 1",
            false,
            json!({}),
            &[&format!("l.txt:2: `b.mp4 1` has no label; expected a line such as `some/path/000.mp4,1`{delimiter}")],
        );
        check_problems(
            "a.mp4\t1\nb.mp4 1",
            false,
            json!({}),
            &[&format!("l.txt:2: `b.mp4 1` has no label; expected a line such as `some/path/000.mp4\\t1`{delimiter}")],
        );
        let rawframes = "expected a line such as `some/folder 119 1`, or set `with_offset: true` if lines also have the first frame";
        check_problems(
            "a 5\nb -5 1\na 0 119 0\nb 0 1",
            true,
            json!({}),
            &[
                &format!("l.txt:1: `a 5` has too few numbers; {rawframes}"),
                &format!("l.txt:2: `b -5 1` has a negative number of frames; {rawframes}"),
                &format!("l.txt:3: `a 0 119 0` has too many numbers; {rawframes}"),
                &format!("l.txt:4: `b 0 1` has no frames; {rawframes}"),
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
        let (one, multi_class) = (json!({}), json!({"multi_class": true}));
        check("mmaction2/tests/video_test_list.txt", false, one.clone(), 2, ("test.mp4", &[0]));
        check("mmaction2/tests/video_test_list_multi_label.txt", false, multi_class.clone(), 2, ("test.mp4", &[0, 3]));
        check("mmaction2/tests/rawframe_test_list.txt", true, one.clone(), 2, ("imgs", &[127]));
        check("mmaction2/tests/rawframe_test_list_multi_label.txt", true, multi_class, 2, ("imgs", &[1]));
        let train = "ucf101/rawframe_style/train_rgb_split1.txt";
        check(train, true, one.clone(), 9_537, ("v_ApplyEyeMakeup_g08_c01", &[0]));
        check("ucf101/rawframe_style/val_rgb_split1.txt", true, one, 3_783, ("v_ApplyEyeMakeup_g01_c01", &[0]));
        let offset = json!({"with_offset": true});
        check("kinetics/k400_valid_processed.txt", true, offset.clone(), 19_877, ("0wR5jVB-WPk_000417_000427", &[0]));
        let sthv2 = "sthv2/something-something-v2-validation-processed.txt";
        check(sthv2, true, offset, 24_777, ("74225", &[140]));
    }
}
