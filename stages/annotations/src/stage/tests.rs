mod segments;
mod sets;

use super::*;
use crate::test_data::video;
use fs_err as fs;
use pipe_schemas::tables::{Split, Verdict};
use pipe_stage::SourceFile;
use pipe_stage::protocol::Input;
use pipe_tables::write_rows;
use pipe_testkit::{Ran, input, run_stage, shared};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The result of a run, with its output folder.
struct Outcome {
    ran: Ran,
    output: PathBuf,
    _folder: TempDir,
}

impl Outcome {
    fn summary(&self) -> &str {
        &self.ran.lines()[0]
    }

    fn error(&self) -> String {
        self.ran.error()
    }

    fn labelling(&self) -> String {
        fs::read_to_string(self.output.join("labels/labelling.json")).expect("read")
    }

    fn annotations(&self) -> Vec<AnnotationRow> {
        read_rows(&self.output.join("labels/annotations.parquet")).expect("read")
    }

    fn report(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.output.join("report.json")).expect("read")).expect("JSON")
    }
}

/// Writes lists of split 1 below `folder`, in a folder of their own.
fn write_lists(folder: &Path, lists: [&str; 3]) -> PathBuf {
    let root = folder.join("lists");
    fs::create_dir_all(root.join("ucfTrainTestlist")).expect("made");
    for (name, text) in ["classInd.txt", "trainlist01.txt", "testlist01.txt"].into_iter().zip(lists) {
        fs::write(root.join("ucfTrainTestlist").join(name), text).expect("written");
    }
    root
}

fn files_below(root: &Path, folder: &str) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let metadata = entry.metadata().expect("metadata");
        if metadata.is_dir() {
            files.extend(files_below(root, &path));
        } else {
            files.push(SourceFile { path, digest: String::new(), size_bytes: metadata.len() });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Runs with the lists in `root`, as the input `lists`.
fn run_in(root: &Path, videos: &[VideoRow], params: &Value) -> Outcome {
    let mut params = params.clone();
    if params.get("format").is_none() {
        params["format"] = "ucf101".into();
    }
    // Most tests have a few videos, which these checks report.
    for check in ["test_gaps", "single_class", "empty_split"] {
        if params.get(check).is_none() {
            params[check] = "off".into();
        }
    }
    let params = &params;
    let folder = tempfile::tempdir().expect("a folder");
    let (table, files) = (folder.path().join("videos.parquet"), folder.path().join("files.json"));
    write_rows(&table, videos).expect("written");
    fs::write(&files, serde_json::to_vec(&files_below(root, "")).expect("JSON")).expect("written");
    let lists = Input { files: Some(files), ..input(root) };
    let output = folder.path().join("output");
    let ran = run_stage(&Annotations, params, [("videos", input(table)), ("lists", lists)], &output, 2);
    Outcome { ran, output, _folder: folder }
}

fn run(lists: [&str; 3], videos: &[VideoRow], params: &Value) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    run_in(&write_lists(folder.path(), lists), videos, params)
}

const CLASSES: &str = "1 Archery\r\n2 HandstandPushups\r\n3 YoYo\r\n";
const TRAIN: &str = "HandstandPushups/v_HandStandPushups_g02_c01.avi 2\r\nArchery/v_Archery_g02_c01.avi 1\r\n";
const TEST: &str = "Archery/v_Archery_g01_c01.avi\r\n";

fn all_videos() -> Vec<VideoRow> {
    let paths = [
        "Archery/v_Archery_g01_c01.avi",
        "Archery/v_Archery_g02_c01.avi",
        "HandstandPushups/v_HandStandPushups_g02_c01.avi",
    ];
    paths.iter().map(|path| video(path, path)).collect()
}

#[test]
fn labels_are_written_in_order() {
    let outcome = run([CLASSES, TRAIN, TEST], &all_videos(), &json!({}));
    assert_eq!(outcome.summary(), "3 classes, 2 of 2 training and 1 of 1 test videos present");
    assert_eq!(outcome.ran.warnings, ["class YoYo has no training video (classInd.txt:3)"]);
    let rows: Vec<_> = outcome
        .annotations()
        .into_iter()
        .map(|row| (row.split, row.video_id, row.class_index, row.group, row.present, row.source_line))
        .collect();
    let row = |split, id: &str, class, group: &str, line| (split, id.to_owned(), class, group.to_owned(), true, line);
    let expect = [
        row(Split::Train, "Archery/v_Archery_g02_c01", 0, "Archery_g02", 2),
        row(Split::Train, "HandstandPushups/v_HandStandPushups_g02_c01", 1, "HandstandPushups_g02", 1),
        row(Split::Test, "Archery/v_Archery_g01_c01", 0, "Archery_g01", 1),
    ];
    assert_eq!(rows, expect);
    assert_eq!(outcome.labelling(), "\"single_label\"\n");
    let classes: Vec<ClassRow> = read_rows(&outcome.output.join("labels/classes.parquet")).expect("read");
    assert_eq!(
        classes.iter().map(|class| class.class_name.as_str()).collect::<Vec<_>>(),
        ["Archery", "HandstandPushups", "YoYo"]
    );
    let report = outcome.report();
    assert_eq!(
        report["classes"][2],
        json!({
            "class_index": 2, "class_name": "YoYo",
            "listed": {"train": 0, "test": 0}, "present": {"train": 0, "test": 0}
        })
    );
    assert_eq!(report["checks"]["missing"], json!({"severity": "error", "count": 0, "examples": []}));
}

#[test]
fn missing_videos_can_be_errors_or_warnings() {
    let mut videos = all_videos();
    videos[0].verdict = Verdict::Undecodable;
    videos.remove(2);
    videos.push(video("Extra/a.avi", "e"));
    let text = "2 of 3 listed videos are missing or unreadable (train 1 of 2, test 1 of 1); first:";
    let (train, test) = (
        "HandstandPushups/v_HandStandPushups_g02_c01.avi (trainlist01.txt:1)",
        "Archery/v_Archery_g01_c01.avi (testlist01.txt:1)",
    );
    let failed = run([CLASSES, TRAIN, TEST], &videos, &json!({}));
    assert_eq!(failed.error(), format!("{text}\n  {train}\n  {test}"));
    assert!(failed.ran.result.expect_err("it fails").help().is_some_and(|help| help.contains("`missing: warn`")));

    let warned = run([CLASSES, TRAIN, TEST], &videos, &json!({"missing": "warn", "label_gaps": "off"}));
    let extra = "1 of 3 videos is not in any list: Extra/a.avi";
    assert_eq!(warned.ran.warnings, [format!("{text} {train}"), extra.to_owned()]);
    assert_eq!(warned.summary(), "3 classes, 1 of 2 training and 0 of 1 test videos present");
    assert_eq!(warned.annotations().iter().map(|row| row.present).collect::<Vec<_>>(), [true, false, false]);

    let off = json!({"missing": "off", "unlabelled": "off", "label_gaps": "off"});
    let off = run([CLASSES, TRAIN, TEST], &videos, &off);
    assert_eq!(off.ran.warnings, [""; 0]);
    assert_eq!(off.report()["checks"]["missing"]["count"], 2);
    assert_eq!(off.report()["checks"]["missing"]["examples"], json!([train, test]));
    assert_eq!(off.report()["checks"]["unlabelled"]["examples"], json!(["Extra/a.avi"]));
}

#[test]
fn leaks_are_errors_by_default() {
    let train = format!("{TRAIN}Archery/v_Archery_g01_c02.avi 1\r\n");
    let mut videos = all_videos();
    videos.push(video("Archery/v_Archery_g01_c02.avi", "x"));
    videos[2].digest = "same".into();
    videos[0].digest = "same".into();
    let failed = run([CLASSES, &train, TEST], &videos, &json!({}));
    let expect = "1 video is listed with different labels: \
                  HandstandPushups/v_HandStandPushups_g02_c01.avi (trainlist01.txt:1) is HandstandPushups, \
                  Archery/v_Archery_g01_c01.avi (testlist01.txt:1) is Archery; the files have the same content\n\
                  1 group is in both the training and the test list: Archery_g01: \
                  Archery/v_Archery_g01_c02.avi (trainlist01.txt:3) and Archery/v_Archery_g01_c01.avi (testlist01.txt:1)\n\
                  1 file is in both the training and the test list under two names: \
                  HandstandPushups/v_HandStandPushups_g02_c01.avi (trainlist01.txt:1) and \
                  Archery/v_Archery_g01_c01.avi (testlist01.txt:1)";
    assert_eq!(failed.error(), expect);
    let params =
        json!({"group_leakage": "warn", "content_leakage": "off", "conflicting_labels": "off", "label_gaps": "off"});
    let warned = run([CLASSES, &train, TEST], &videos, &params);
    assert_eq!(warned.ran.warnings.len(), 1);
    assert_eq!(warned.report()["checks"]["content_leakage"]["count"], 1);
}

#[test]
fn a_name_in_another_case_is_found_and_reported() {
    let mut videos = all_videos();
    videos[2] = video("HandStandPushups/v_HandStandPushups_g02_c01.avi", "h");
    let outcome = run([CLASSES, TRAIN, TEST], &videos, &json!({"label_gaps": "off"}));
    let expect = "1 listed video has another name in the folder: \
                  HandstandPushups/v_HandStandPushups_g02_c01.avi (trainlist01.txt:1) is \
                  HandStandPushups/v_HandStandPushups_g02_c01.avi";
    assert_eq!(outcome.ran.warnings, [expect]);
    assert_eq!(outcome.annotations()[1].video_id, "HandStandPushups/v_HandStandPushups_g02_c01");
}

#[test]
fn splits_with_one_class_and_classes_without_test_videos_are_reported() {
    let train = format!("{TRAIN}Archery/v_Archery_g03_c01.avi 1\n");
    let on = json!({"test_gaps": "warn", "single_class": "warn", "label_gaps": "off", "missing": "off"});
    let expect =
        ["class HandstandPushups has no test video (classInd.txt:2)", "1 test video has only one class: Archery"];
    assert_eq!(run([CLASSES, &train, TEST], &all_videos(), &on).ran.warnings, expect);
    let train = "Archery/v_Archery_g02_c01.avi 1\nArchery/v_Archery_g03_c01.avi 1\n";
    let expect = [
        "the training and the test split have only one class each; first: 2 training videos have only one class: Archery",
        "1 of 3 videos is not in any list: HandstandPushups/v_HandStandPushups_g02_c01.avi",
    ];
    assert_eq!(run([CLASSES, train, TEST], &all_videos(), &on).ran.warnings, expect);
}

#[test]
fn a_split_without_videos_is_an_error() {
    let on =
        |missing: &str| json!({"empty_split": "error", "missing": missing, "label_gaps": "off", "unlabelled": "off"});
    let check = |train: &str, test: &str, videos: &[VideoRow], expect: &str| {
        assert_eq!(run([CLASSES, train, test], videos, &on("off")).error(), expect);
    };
    check(TRAIN, "\n", &all_videos(), "no test video is listed");
    check("", TEST, &all_videos(), "no training video is listed");
    check(TRAIN, TEST, &all_videos()[1..], "the only listed test video is missing or unreadable");
    check(
        TRAIN,
        TEST,
        &[],
        "both splits are empty; first:\n  all 2 listed training videos are missing or unreadable\n  the only listed test video is missing or unreadable",
    );
    // Without a test list, training alone is meant.
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("train.txt"), "a.mp4 0\nb.mp4 1\n").expect("written");
    let train_only = json!({"format": "video_list", "train": "train.txt", "empty_split": "error"});
    assert!(run_in(folder.path(), &[video("a.mp4", "a"), video("b.mp4", "b")], &train_only).ran.result.is_ok());
    fs::write(folder.path().join("test.txt"), "").expect("written");
    let empty_test = json!({"format": "video_list", "train": "train.txt", "test": "test.txt", "empty_split": "error"});
    assert_eq!(
        run_in(folder.path(), &[video("a.mp4", "a"), video("b.mp4", "b")], &empty_test).error(),
        "no test video is listed"
    );
}

#[test]
fn the_report_has_every_finding() {
    let train: String = (0..50).map(|number| format!("Archery/v_{number}.avi 1\n")).collect();
    let outcome = run([CLASSES, &train, TEST], &all_videos(), &json!({"missing": "warn"}));
    assert_eq!(outcome.report()["checks"]["missing"]["examples"].as_array().expect("a list").len(), 50);
}

#[test]
fn most_absent_videos_have_a_hint() {
    let videos = [video("videos/Archery/v_Archery_g01_c01.avi", "1")];
    let error =
        run([CLASSES, TRAIN, "x/Archery/v_Archery_g01_c01.avi"], &videos, &json!({"unlabelled": "off"})).error();
    let expect = "the nearest file to `HandstandPushups/v_HandStandPushups_g02_c01.avi` is \
                  `videos/Archery/v_Archery_g01_c01.avi`: the name differs, `v_HandStandPushups_g02_c01.avi` and \
                  `v_Archery_g01_c01.avi`";
    assert!(error.ends_with(expect), "{error}");
}

#[test]
fn folders_whose_names_are_numbers_are_classes() {
    let classes = |names: &[&str]| {
        let paths: Vec<String> =
            names.iter().flat_map(|name| [format!("train/{name}/a.mp4"), format!("val/{name}/b.mp4")]).collect();
        let videos: Vec<VideoRow> = paths.iter().map(|path| video(path, path)).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run_in(folder.path(), &videos, &json!({"format": "class_folder"}));
        let classes: Vec<ClassRow> = read_rows(&outcome.output.join("labels/classes.parquet")).expect("read");
        classes.into_iter().map(|class| class.class_name).collect::<Vec<_>>()
    };
    assert_eq!(classes(&["2019", "2020", "2021"]), ["2019", "2020", "2021"]);
    assert_eq!(classes(&["0", "01", "1"]), ["0", "01", "1"]);
    assert_eq!(classes(&["2021", "run", "1.5"]), ["1.5", "2021", "run"]);
}

#[test]
fn up_to_twenty_wrong_lines_are_shown() {
    let train = "Archery/v_1.avi 2\n".repeat(30);
    let error = run([CLASSES, &train, TEST], &[], &json!({})).error();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 22);
    assert_eq!(lines[0], "the label lists have 30 errors:");
    assert_eq!(lines[1], "  trainlist01.txt:1: class `Archery` has number 2 here; it is 1 in classInd.txt");
    assert_eq!(lines[21], "  and 10 more");
}

#[test]
fn lists_are_found_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = write_lists(folder.path(), [CLASSES, TRAIN, TEST]);
    fs::write(root.join("classInd.txt.bak"), "").expect("written");
    assert!(run_in(&root, &all_videos(), &json!({})).ran.result.is_ok());
    let error = run_in(&root, &all_videos(), &json!({"split": 2})).error();
    assert!(error.ends_with("contains no file `trainlist02.txt`"), "{error}");
    fs::write(root.join("testlist01.txt"), "").expect("written");
    let error = run_in(&root, &all_videos(), &json!({})).error();
    assert!(
        error.ends_with("two files `testlist01.txt`: testlist01.txt and ucfTrainTestlist/testlist01.txt"),
        "{error}"
    );
}

#[test]
fn folders_are_classes() {
    let videos = |paths: &[&str]| paths.iter().map(|path| video(path, path)).collect::<Vec<_>>();
    let run = |paths: &[&str], params: Value| {
        let folder = tempfile::tempdir().expect("a folder");
        run_in(folder.path(), &videos(paths), &params)
    };
    let split = ["train/run/a.avi", "train/walk/b.avi", "val/run/c.avi", "readme.avi"];
    let outcome = run(&split, json!({"format": "class_folder"}));
    assert_eq!(outcome.summary(), "2 classes, 2 of 2 training and 1 of 1 test videos present");
    assert_eq!(outcome.ran.warnings, ["1 of 4 videos is not in any list: readme.avi"]);
    let rows = outcome.annotations();
    assert_eq!((rows[1].class_index, rows[1].source_file.as_str(), rows[1].source_line), (1, "train/walk", 0));
    let unknown = run(&["run/a.avi"], json!({"format": "class_folder"}));
    assert_eq!(unknown.error(), "run/ is in neither the training nor the test split");
    let many: Vec<String> = (0..40).flat_map(|n| [format!("run/s{n}_a.avi"), format!("walk/s{n}_b.avi")]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let params = json!({"format": "class_folder", "test_share": 0.25, "group": {"regex": "s[0-9]+"}});
    let rows = run(&many, params).annotations();
    let sources =
        |split| rows.iter().filter(|row| row.split == split).map(|row| row.group.as_str()).collect::<BTreeSet<_>>();
    assert!(sources(Split::Train).is_disjoint(&sources(Split::Test)));
    assert!((5..=15).contains(&sources(Split::Test).len()), "{}", sources(Split::Test).len());
}

#[test]
fn multi_class_lists_stay_multi_label_with_one_label_each() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("train.txt"), "a.mp4 0\nb.mp4 1\n").expect("written");
    let params = json!({"format": "video_list", "train": "train.txt", "multi_class": true});
    let outcome = run_in(folder.path(), &[video("a.mp4", "a"), video("b.mp4", "b")], &params);
    assert_eq!(outcome.labelling(), "\"multi_label\"\n", "{:?}", outcome.ran.result);
}
