use super::*;
use pipe_schemas::tables::{Split, Verdict, VideoRow};
use pipe_stage::SourceFile;
use pipe_stage::protocol::Input;
use pipe_testkit::{Ran, input, run_stage};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const REAL_LISTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/annotations/ucf101");
const REAL_CLIPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/clips/ucf101");

/// What a run says and writes.
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

    fn annotations(&self) -> Vec<AnnotationRow> {
        read_rows(&self.output.join("labels/annotations.parquet")).expect("read")
    }

    fn report(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.output.join("report.json")).expect("read")).expect("JSON")
    }
}

fn video(path: &str, digest: &str) -> VideoRow {
    VideoRow {
        video_id: path.rsplit_once('.').expect("an extension").0.into(),
        path: path.into(),
        digest: digest.into(),
        size_bytes: 1,
        codec: "mpeg4".into(),
        width_px: 320,
        height_px: 240,
        fps_num: 25,
        fps_den: 1,
        frames_declared: 10,
        frames_decoded: None,
        rotation: 0,
        verdict: Verdict::Ok,
        reason: String::new(),
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
    assert_eq!(outcome.ran.warnings, [""; 0]);
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
fn missing_videos_have_three_severities() {
    let mut videos = all_videos();
    videos[0].verdict = Verdict::Undecodable;
    videos.remove(2);
    videos.push(video("Extra/a.avi", "e"));
    let text = "2 of 3 listed videos are absent or unreadable (train 1 of 2, test 1 of 1); first:";
    let (train, test) = (
        "HandstandPushups/v_HandStandPushups_g02_c01.avi (trainlist01.txt:1)",
        "Archery/v_Archery_g01_c01.avi (testlist01.txt:1)",
    );
    let failed = run([CLASSES, TRAIN, TEST], &videos, &json!({}));
    assert_eq!(failed.error(), format!("{text}\n  {train}\n  {test}"));
    assert!(failed.ran.result.expect_err("it fails").help().is_some_and(|help| help.contains("`warn`")));

    let warned = run([CLASSES, TRAIN, TEST], &videos, &json!({"missing": "warn"}));
    let extra = "1 of 3 videos are in no list; first: Extra/a.avi";
    assert_eq!(warned.ran.warnings, [format!("{text} {train}"), extra.to_owned()]);
    assert_eq!(warned.summary(), "3 classes, 1 of 2 training and 0 of 1 test videos present");
    assert_eq!(warned.annotations().iter().map(|row| row.present).collect::<Vec<_>>(), [true, false, false]);

    let off = run([CLASSES, TRAIN, TEST], &videos, &json!({"missing": "off", "unlabelled": "off"}));
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
    let expect = "1 group is in the training and the test list; first: Archery_g01: \
                  Archery/v_Archery_g01_c02.avi (trainlist01.txt:3) and Archery/v_Archery_g01_c01.avi (testlist01.txt:1)\n\
                  1 file is in the training and the test list under two names; first: \
                  HandstandPushups/v_HandStandPushups_g02_c01.avi (trainlist01.txt:1) and \
                  Archery/v_Archery_g01_c01.avi (testlist01.txt:1)";
    assert_eq!(failed.error(), expect);
    let params = json!({"group_leakage": "warn", "content_leakage": "off"});
    let warned = run([CLASSES, &train, TEST], &videos, &params);
    assert_eq!(warned.ran.warnings.len(), 1);
    assert_eq!(warned.report()["checks"]["content_leakage"]["count"], 1);
}

#[test]
fn another_case_is_found_and_told() {
    let mut videos = all_videos();
    videos[2] = video("HandStandPushups/v_HandStandPushups_g02_c01.avi", "h");
    let outcome = run([CLASSES, TRAIN, TEST], &videos, &json!({}));
    let expect = "1 listed video has another case in the folder; first: \
                  HandstandPushups/v_HandStandPushups_g02_c01.avi (trainlist01.txt:1) is \
                  HandStandPushups/v_HandStandPushups_g02_c01.avi";
    assert_eq!(outcome.ran.warnings, [expect]);
    assert_eq!(outcome.annotations()[1].video_id, "HandStandPushups/v_HandStandPushups_g02_c01");
}

#[test]
fn wrong_lines_are_shown_up_to_twenty() {
    let train: String = (0..30).map(|line| format!("Biking/v_{line}.avi 1\n")).collect();
    let error = run([CLASSES, &train, TEST], &[], &json!({})).error();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 22);
    assert_eq!(lines[0], "the label lists are wrong in 30 places:");
    assert_eq!(lines[1], "  trainlist01.txt:1: `Biking` is no class; the folder must be a class of classInd.txt");
    assert_eq!(lines[21], "  and 10 more");
}

#[test]
fn lists_are_found_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = write_lists(folder.path(), [CLASSES, TRAIN, TEST]);
    fs::write(root.join("classInd.txt.bak"), "").expect("written");
    assert!(run_in(&root, &all_videos(), &json!({})).ran.result.is_ok());
    let error = run_in(&root, &all_videos(), &json!({"split": 2})).error();
    assert!(error.ends_with("has no `trainlist02.txt`"), "{error}");
    fs::write(root.join("testlist01.txt"), "").expect("written");
    let error = run_in(&root, &all_videos(), &json!({})).error();
    assert!(error.ends_with("two `testlist01.txt`: testlist01.txt and ucfTrainTestlist/testlist01.txt"), "{error}");
}

/// Returns the videos that lie in the folder of UCF101 clips.
fn real_videos() -> Vec<VideoRow> {
    let files = files_below(Path::new(REAL_CLIPS), "");
    files.iter().filter(|file| file.path.contains('.')).map(|file| video(&file.path, &file.path)).collect()
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn absent(path: &str) -> bool {
    let absent = !Path::new(path).exists();
    if absent {
        eprintln!("skipped: the data of these tests is not here");
    }
    absent
}

#[test]
fn the_real_lists_are_whole() {
    if absent(REAL_LISTS) {
        return;
    }
    for (split, train, test) in [(1, 9_537, 3_783), (2, 9_586, 3_734), (3, 9_624, 3_696)] {
        let params = json!({"split": split, "missing": "off", "unlabelled": "off"});
        let outcome = run_in(Path::new(REAL_LISTS), &[], &params);
        outcome.ran.result.as_ref().expect("no leaks, no errors");
        let report = outcome.report();
        assert_eq!((&report["listed"]["train"], &report["listed"]["test"]), (&json!(train), &json!(test)));
        assert_eq!(report["num_classes"], 101);
        let rows = outcome.annotations();
        assert!(rows.iter().all(|row| !row.group.is_empty()));
        let pushups = rows.iter().filter(|row| row.video_id.contains("/v_HandStandPushups_"));
        assert!(pushups.map(|row| row.class_index).eq(std::iter::repeat_n(36, 128)));
        let mut groups: Vec<_> = rows
            .iter()
            .filter(|row| row.split == Split::Test)
            .filter_map(|row| row.group.rsplit_once('_').map(|(_, group)| group.to_owned()))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        assert_eq!(groups.len(), 7, "{groups:?}");
        if split == 1 {
            assert_eq!(groups, ["g01", "g02", "g03", "g04", "g05", "g06", "g07"]);
        }
    }
}

#[test]
fn the_clips_at_hand_are_joined() {
    if absent(REAL_LISTS) || absent(REAL_CLIPS) {
        return;
    }
    let videos = real_videos();
    let outcome = run_in(Path::new(REAL_LISTS), &videos, &json!({"missing": "warn"}));
    let report = outcome.report();
    let present = report["present"]["train"].as_u64().zip(report["present"]["test"].as_u64()).expect("counts");
    assert_eq!(present.0 + present.1, videos.len() as u64, "{:?}", outcome.ran.warnings);
    let expect = format!("101 classes, {} of 9,537 training and {} of 3,783 test videos present", present.0, present.1);
    assert_eq!(outcome.summary(), expect);
    assert_eq!(outcome.ran.warnings.len(), 1);
    assert!(outcome.ran.warnings[0].contains(" of 13,320 listed videos are absent or unreadable (train "));
}
