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

/// Runs a table of segments of `a.mp4`, a video of 10 s, and `b.mp4`.
fn run_segments(rows: &str, params: Value) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("l.csv"), format!("video,class,start,end,split\n{rows}")).expect("written");
    let columns = json!({"video": "video", "label": "class", "start": "start", "end": "end", "subset": "split"});
    let mut all = json!({"format": "table", "file": "l.csv", "columns": columns, "unlabelled": "off"});
    for (name, value) in params.as_object().expect("a map") {
        match (name.as_str(), value) {
            ("columns", Value::Object(more)) => {
                all["columns"].as_object_mut().expect("a map").extend(more.clone());
            }
            (name, value) => all[name] = value.clone(),
        }
    }
    let long = |path: &str| VideoRow { frames_declared: 250, ..video(path, path) };
    run_in(folder.path(), &[long("a.mp4"), long("b.mp4")], &all)
}

#[test]
fn segments_are_counted_as_segments_of_videos() {
    let rows = "a.mp4,x,0,2,train\na.mp4,y,2,4,train\na.mp4,x,4,6,train\nb.mp4,x,0,2,test\nb.mp4,y,2,4,test\n";
    let outcome = run_segments(rows, json!({}));
    assert_eq!(
        outcome.summary(),
        "2 classes, 3 of 3 training segments (of 1 video) and 2 of 2 test segments (of 1 video) present"
    );
    let report = outcome.report();
    assert_eq!(
        (&report["listed"], &report["videos"]["listed"]),
        (&json!({"train": 3, "test": 2}), &json!({"train": 1, "test": 1}))
    );
}

#[test]
fn segments_outside_their_video_are_findings() {
    let rows =
        "a.mp4,x,1.9,500,train\na.mp4,x,5,4,train\na.mp4,x,11,12,train\na.mp4,y,9,10.5,train\nb.mp4,x,0,2,test\n";
    let failed = run_segments(rows, json!({})).error();
    assert_eq!(failed, "1 segment ends before it begins: a.mp4 (l.csv:3), 5 to 4 s");
    let warned = run_segments(rows, json!({"segment_order": "warn"}));
    let expect = [
        "1 segment ends before it begins: a.mp4 (l.csv:3), 5 to 4 s",
        "2 segments lie past the end of their videos; first: a.mp4 (l.csv:2), 1.9 to 500 s of a video of 10.00 s",
    ];
    assert_eq!(warned.ran.warnings, expect);
    // The first one has frames; the second and the third have none.
    let times = |row: &AnnotationRow| row.start_secs.expect("a segment");
    assert_eq!(warned.annotations().iter().map(times).collect::<Vec<_>>(), [1.9, 9.0, 0.0]);
    let off = run_segments(rows, json!({"segment_order": "off", "segment_range": "off"}));
    assert_eq!(off.ran.warnings, [""; 0]);
    assert_eq!(off.report()["checks"]["segment_range"]["count"], 2);
    assert!(
        run_segments(rows, json!({"segment_order": "off", "segment_range": "error"})).error().contains("past the end")
    );
}

#[test]
fn segments_in_frames_become_seconds() {
    let rows = "a.mp4,x,25,50,train\nb.mp4,y,0,100,test\nc.mp4,y,3,4,test\n";
    let outcome = run_segments(rows, json!({"columns": {"segment_unit": "frames"}, "missing": "off"}));
    let times: Vec<_> = outcome.annotations().iter().map(|row| (row.start_secs, row.end_secs)).collect();
    assert_eq!(times, [(Some(1.0), Some(2.0)), (Some(0.0), Some(4.0)), (None, None)]);
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
fn the_format_is_detected_or_an_error_asks_for_it() {
    let Some(real) = shared("data/annotations") else { return };
    let off = |params: Value| {
        let mut all = json!({"format": "auto", "missing": "off", "unlabelled": "off", "group_leakage": "off"});
        all.as_object_mut().expect("a map").extend(params.as_object().expect("a map").clone());
        all
    };
    let detected =
        |folder: &str, params: Value| run_in(&real.join(folder), &[], &off(params)).report()["format"].clone();
    assert_eq!(detected("ucf101", json!({})), "ucf101");
    assert_eq!(detected("hmdb51", json!({"split": 2})), "hmdb51");
    assert_eq!(
        detected("kinetics", json!({"train": "otx_train.csv", "test": "otx_val.csv", "split_overlap": "off"})),
        "kinetics"
    );
    let segments = json!({"file": "action_test_anno.json", "test_share": 0.5});
    assert_eq!(detected("mmaction2/tests", segments), "activitynet");
    assert_eq!(detected("mmaction2/tests", json!({"train": "video_test_list.txt"})), "video_list");
    let ambiguous = run_in(&real.join("ucf101"), &[], &off(json!({"train": "rawframe_style/train_rgb_split1.txt"})));
    assert!(ambiguous.error().ends_with("can't be detected: no format fits"), "{}", ambiguous.error());
    let both = tempfile::tempdir().expect("a folder");
    write_lists(both.path(), [CLASSES, TRAIN, TEST]);
    fs::write(both.path().join("lists/wave_test_split1.txt"), "a.avi 1").expect("written");
    let ambiguous = run_in(both.path(), &[], &json!({"format": "auto"})).error();
    assert!(ambiguous.ends_with("can't be detected: ucf101 and hmdb51 fit"), "{ambiguous}");
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
fn each_label_of_a_video_is_a_row() {
    let Some(real) = shared("data/annotations") else { return };
    let columns = json!({"video": "FILE", "label": "ACTION CLASSES", "label_delimiter": ","});
    let params = json!({
        "format": "table", "file": "violent-action-classes.csv", "columns": columns, "multi_class": true,
        "test_share": 0.2, "missing": "off", "label_gaps": "off", "class_balance": "off"
    });
    let outcome = run_in(&real.join("airtlab"), &[video("3.mp4", "3")], &params);
    outcome.ran.result.as_ref().expect("no errors");
    let rows: Vec<_> = outcome.annotations().into_iter().filter(|row| row.video_id == "3").collect();
    assert_eq!(rows.iter().map(|row| (row.class_index, row.source_line)).collect::<Vec<_>>(), [(5, 4), (8, 4)]);
    assert_eq!(outcome.labelling(), "\"multi_label\"\n");
    let report = outcome.report();
    assert_eq!((&report["num_classes"], &report["classes"][5]["class_name"]), (&json!(11), &json!("kick")));
    let listed = report["listed"]["train"].as_u64().zip(report["listed"]["test"].as_u64()).expect("counts");
    assert_eq!(listed.0 + listed.1, 115);
}

#[test]
fn multi_class_lists_stay_multi_label_with_one_label_each() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("train.txt"), "a.mp4 0\nb.mp4 1\n").expect("written");
    let params = json!({"format": "video_list", "train": "train.txt", "multi_class": true});
    let outcome = run_in(folder.path(), &[video("a.mp4", "a"), video("b.mp4", "b")], &params);
    assert_eq!(outcome.labelling(), "\"multi_label\"\n", "{:?}", outcome.ran.result);
}

#[test]
fn real_clips_of_other_sets_are_joined() {
    let (Some(lists), Some(clips)) = (shared("data/annotations"), shared("data/clips")) else { return };
    let videos = |folder: &str| {
        let files = files_below(&clips.join(folder), "");
        files
            .iter()
            .filter(|file| file.path.contains('.'))
            .map(|file| video(&file.path, &file.path))
            .collect::<Vec<_>>()
    };
    let found = |outcome: &Outcome| {
        let rows = outcome.annotations().into_iter().filter(|row| row.present);
        rows.map(|row| (row.video_id, row.class_index)).collect::<BTreeSet<_>>()
    };
    let hmdb51 = run_in(&lists.join("hmdb51"), &videos("hmdb51"), &json!({"format": "hmdb51", "missing": "warn"}));
    let classes: Vec<u32> = found(&hmdb51).into_iter().map(|(_, class)| class).collect();
    // The fifth clip is listed as unused: it is neither labelled nor reported as unlabelled.
    assert_eq!(classes, [1, 15, 35, 50]);
    assert_eq!(hmdb51.ran.warnings.len(), 1, "{:?}", hmdb51.ran.warnings);
    let rawframes = json!({
        "format": "rawframe_list", "train": "rawframe_style/train_rgb_split1.txt",
        "test": "rawframe_style/val_rgb_split1.txt", "missing": "warn", "group": "ucf101"
    });
    let rawframes = run_in(&lists.join("ucf101"), &videos("ucf101"), &rawframes);
    let official = run_in(&lists.join("ucf101"), &videos("ucf101"), &json!({"missing": "warn"}));
    assert_eq!(found(&rawframes), found(&official), "{:?}", rawframes.ran.warnings);
    assert_eq!(found(&official).len(), videos("ucf101").len());
    assert_eq!(official.ran.warnings.len(), 1);
    assert!(official.ran.warnings[0].contains(" of 13,320 listed videos are missing or unreadable (train "));
}

/// The lists of UCF101 or HMDB51, with the expected counts of all splits.
struct WholeSet {
    root: PathBuf,
    format: &'static str,
    counts: [(u64, u64); 3],
}

/// Returns a `videos` table with all listed videos, padded to 13,320 rows.
fn made_up_videos(set: &WholeSet) -> Vec<VideoRow> {
    let mut paths = BTreeSet::new();
    for split in 1..=3 {
        let params = json!({"format": set.format, "split": split});
        let mut params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        params.missing = Severity::Off;
        let sources = Sources { root: set.root.clone(), files: files_below(&set.root, "") };
        let (_, lists) = formats::read(params.format, &params, &sources, &[]).expect("lists");
        paths.extend(lists.rows.into_iter().map(|row| row.path));
    }
    let more = (0..13_320 - paths.len()).map(|number| format!("more/{number}.avi"));
    paths.into_iter().chain(more).map(|path| video(&path, &path)).collect()
}

fn whole_sets() -> Option<[WholeSet; 2]> {
    let real = shared("data/annotations")?;
    let ucf101 = [(9_537, 3_783), (9_586, 3_734), (9_624, 3_696)];
    Some([
        WholeSet { root: real.join("ucf101"), format: "ucf101", counts: ucf101 },
        WholeSet { root: real.join("hmdb51"), format: "hmdb51", counts: [(3_570, 1_530); 3] },
    ])
}

#[test]
#[expect(clippy::print_stderr, reason = "prints a measurement")]
fn whole_sets_are_checked_in_seconds() {
    let Some(sets) = whole_sets() else { return };
    let mut work: Vec<_> = Vec::new();
    for set in &sets {
        let (videos, files) = (made_up_videos(set), files_below(&set.root, ""));
        assert_eq!(videos.len(), 13_320);
        work.push((set, videos, Sources { root: set.root.clone(), files }));
    }
    let check_all = || {
        let before = cpu_secs();
        let mut found = Vec::new();
        for (set, videos, sources) in &work {
            for split in 1..=3 {
                let params = json!({"format": set.format, "split": split, "unlabelled": "off"});
                let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
                found.push(label(&params, sources, videos).expect("labels").report);
            }
        }
        (cpu_secs() - before, found)
    };
    // The minimum of three: other tests may run in the same process.
    let mut runs: Vec<_> = (0..3).map(|_| check_all()).collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (secs, found) = runs.swap_remove(0);
    eprintln!("all splits of UCF101 and HMDB51, parsed, joined and checked: {secs:.3} s of CPU");
    // Only a guard against quadratic time: a limit near the real figure would depend on the processor.
    assert!(secs < 30.0, "{secs}");
    let counts = sets.iter().flat_map(|set| set.counts);
    for (report, (train, test)) in found.iter().zip(counts) {
        assert_eq!((report.messages(Severity::Error), report.messages(Severity::Warn)), (vec![], vec![]));
        let json = serde_json::to_value(report).expect("JSON");
        assert_eq!((&json["listed"], &json["present"]), (&json!({"train": train, "test": test}), &json["listed"]));
    }
}

/// CPU time of this process, in its threads and in the kernel.
fn cpu_secs() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |position: usize| fields[position].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

#[test]
fn films_of_hmdb51_are_in_both_splits() {
    let Some([_, hmdb51]) = whole_sets() else { return };
    for (split, films) in [(1, 133), (2, 149), (3, 144)] {
        let params = json!({"format": "hmdb51", "split": split, "group": "hmdb51_film", "missing": "off", "group_leakage": "warn"});
        let report = run_in(&hmdb51.root, &[], &params).report();
        assert_eq!(report["checks"]["group_leakage"]["count"], films);
    }
}

#[test]
fn errors_planted_in_real_lists_are_found() {
    let Some([ucf101, _]) = whole_sets() else { return };
    let read = |name: &str| fs::read_to_string(ucf101.root.join(name)).expect("read");
    let (train, test) = (read("trainlist01.txt"), read("testlist01.txt"));
    let run = |train: &str, test: &str, videos: &[VideoRow]| {
        let folder = tempfile::tempdir().expect("a folder");
        run_in(&write_lists(folder.path(), [&read("classInd.txt"), train, test]), videos, &json!({"missing": "off"}))
            .error()
    };
    let with = |text: &str, line: &str| format!("{text}{line}\r\n");
    // A test video in the training list, and so its group.
    let leaked = "Biking/v_Biking_g01_c01.avi";
    let at = test.lines().position(|line| line == leaked).expect("a line") + 1;
    let error = run(&with(&train, &format!("{leaked} 11")), &test, &[]);
    let expect = format!("{leaked} (trainlist01.txt:9538) and {leaked} (testlist01.txt:{at})");
    assert_eq!(
        error,
        format!(
            "1 video is in both the training and the test list: {expect}\n\
         1 group is in both the training and the test list: Biking_g01: {expect}"
        )
    );
    // Another clip of a test group.
    let error = run(&with(&train, "Biking/v_Biking_g01_c99.avi 11"), &test, &[]);
    assert_eq!(
        error,
        format!(
            "1 group is in both the training and the test list: Biking_g01: Biking/v_Biking_g01_c99.avi \
         (trainlist01.txt:9538) and {leaked} (testlist01.txt:{at})"
        )
    );
    // The same file under two names.
    let (one, two) = ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi");
    let error = run(&train, &test, &[video(one, "same"), video(two, "same")]);
    assert_eq!(
        error,
        format!(
            "1 file is in both the training and the test list under two names: {one} (trainlist01.txt:1) and {two} (testlist01.txt:1)"
        )
    );
    // An unknown class.
    let error = run(&with(&train, "biking/v_Biking_g09_c99.avi 11"), &test, &[]);
    assert_eq!(error, "1 label is not a known class: `biking` (trainlist01.txt:9538), did you mean `Biking`?");
}
