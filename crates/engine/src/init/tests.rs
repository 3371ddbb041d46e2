//! Folders of every known layout, and folders that are not clear.

use super::{DraftFile, draft};
use crate::{Setting, load};
use fs_err as fs;
use std::path::Path;

/// Makes a folder with empty videos and with lists.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("data")).expect("made");
    for (path, text) in files {
        let path = folder.path().join("data").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

/// Returns the draft of a folder, which is a valid pipeline of about 20 lines.
#[track_caller]
fn good(files: &[(&str, &str)]) -> DraftFile {
    let folder = folder(files);
    let drafted = draft(&folder.path().join("data")).unwrap_or_else(|error| panic!("{error}"));
    let path = folder.path().join("p.yaml");
    fs::write(&path, &drafted.text).expect("written");
    let plan = load(&path, &[Setting("vars.epochs=3".into())]);
    plan.unwrap_or_else(|problems| panic!("{:?}\n{}", problems.0, drafted.text));
    let lines = drafted.text.lines().count();
    assert!((15..=26).contains(&lines), "{lines} lines");
    drafted
}

#[track_caller]
fn unclear(files: &[(&str, &str)], expect: &str) {
    let error = draft(&folder(files).path().join("data")).expect_err("unclear").to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn class_folders_are_recognised() {
    let drafted = good(&[("jump/a.mp4", ""), ("run/b.MP4", ""), ("run/c.avi", ""), ("run/notes.pdf", "")]);
    assert_eq!(drafted.name, "data");
    assert_eq!(drafted.found[..2], ["3 videos", "one folder per class in the folder itself: 2 classes"]);
    assert!(drafted.found.contains(&"neither videos nor lists: 1 file".to_owned()), "{:?}", drafted.found);
    assert!(drafted.text.contains("format: class_folder, test_share: 0.2"), "{}", drafted.text);
    let drafted = good(&[("videos/2019/a.mp4", ""), ("videos/2020/b.mp4", ""), (".hidden/x/c.mp4", "")]);
    assert!(drafted.text.contains("root: \"${data}/videos\""), "{}", drafted.text);
    let grouped = good(&[("jump/v_jump_g01_c01.avi", ""), ("run/v_run_g02_c01.avi", "")]);
    assert!(grouped.text.contains("regex: \"_(g[0-9]+)_\""), "{}", grouped.text);
}

#[test]
fn subsets_above_class_folders_are_recognised() {
    let drafted =
        good(&[("train/jump/a.mp4", ""), ("train/run/b.mp4", ""), ("val/jump/c.mp4", ""), ("val/run/d.mp4", "")]);
    assert!(drafted.text.contains("with: { format: class_folder }"), "{}", drafted.text);
    let both = good(&[("train/a/a.mp4", ""), ("val/a/b.mp4", ""), ("test/a/c.mp4", ""), ("train/b/d.mp4", "")]);
    assert!(both.text.contains("subsets: { test: [test] }"), "{}", both.text);
}

#[test]
fn lists_are_recognised() {
    let check = |files: &[(&str, &str)], expect: &str| {
        let text = good(files).text;
        assert!(text.contains(expect), "{expect}:\n{text}");
    };
    let videos = [("videos/A/v_A_g01_c01.avi", ""), ("videos/B/v_B_g01_c01.avi", "")];
    let with = |lists: &[(&'static str, &'static str)]| [&videos[..], lists].concat();
    let ucf101 = [
        ("l/classInd.txt", "1 A\n2 B\n"),
        ("l/trainlist01.txt", "A/v_A_g01_c01.avi 1\n"),
        ("l/testlist01.txt", "B/v_B_g01_c01.avi\n"),
    ];
    check(&with(&ucf101), "root: \"${data}/l\", format: ucf101, split: 1");
    check(&with(&[("l/A_test_split1.txt", "v_A_g01_c01.avi 1\n")]), "root: \"${data}/l\", format: hmdb51, split: 1");
    let csv = "label,youtube_id,time_start,time_end,split\n";
    check(&with(&[("l/train.csv", csv), ("l/val.csv", csv)]), "format: kinetics, train: train.csv, test: val.csv");
    let lists = [("k_train_videos.txt", "A/v_A_g01_c01.avi 0\n"), ("k_val_videos.txt", "B/v_B_g01_c01.avi 1\n")];
    check(&with(&lists), "format: video_list, train: k_train_videos.txt, test: k_val_videos.txt");
    let with_spaces = [("train.csv", "A/my video.avi,0\n"), ("test.csv", "B/b.mp4,1\n")];
    check(&with(&with_spaces), "format: video_list, train: train.csv, test: test.csv");
    let table = [("labels.csv", "\u{feff}video;class;split\na.avi;A;train\n")];
    check(&with(&table), "format: table, file: labels.csv, columns: { video: video, label: class, subset: split }");
    check(&with(&[("labels.tsv", "path\tlabel\na.avi\tA\n")]), "test_share: 0.2");
    let subsets = [("train.csv", csv), ("test.csv", csv), ("validate.csv", csv)];
    check(&with(&subsets), "format: kinetics, train: train.csv, test: validate.csv");
    let frames = [("train_rawframes.txt", "A/v_A 30 0\n"), ("val_rawframes.txt", "B/v_B 30 1\n")];
    check(&with(&frames), "format: rawframe_list, train: train_rawframes.txt, test: val_rawframes.txt");
    let both = good(&with(&[&lists[..], &frames[..]].concat()));
    assert!(both.text.contains("format: video_list"), "{}", both.text);
    let unused = "not used: 2 text files: train_rawframes.txt, val_rawframes.txt".to_owned();
    assert!(both.found.contains(&unused), "{:?}", both.found);
    let activitynet = [("a.json", r#"{"database": {"x": {"annotations": [{"segment": [0, 1], "label": "A"}]}}}"#)];
    check(&with(&activitynet), "format: activitynet, file: a.json");
    let rows = r#"[{"id": "1", "label": "x", "template": "x"}]"#;
    let sthv2 = [("s/x-train.json", rows), ("s/x-validation.json", rows), ("s/x-labels.json", "{\"x\": \"0\"}")];
    check(&with(&sthv2), "format: sthv2, train: x-train.json, test: x-validation.json, label_map: x-labels.json");
}

#[test]
fn what_is_not_clear_is_an_error_that_says_what_was_found() {
    unclear(&[], "contains no videos");
    unclear(&[("a.txt", ""), ("b.jpg", "")], "contains no videos");
    unclear(&[("a.mp4", ""), ("b.mp4", "")], "2 videos in one folder, the folder itself");
    unclear(&[("a/b.mp4", ""), ("a/c/d.mp4", ""), ("e/f.mp4", "")], "2 videos 1 folder below");
    unclear(&[("x/a/b.mp4", ""), ("y/a/d.mp4", "")], "2 videos 2 folders below the folder itself");
    unclear(&[("a.mp4", ""), ("b.mp4", ""), ("x.txt", "hello\n")], "text files in no known format: x.txt");
    let lists =
        [("train.txt", "a.mp4 0\n"), ("val.txt", "b.mp4 0\n"), ("c_test_split1.txt", "a.mp4 1\n"), ("a.mp4", "")];
    unclear(&lists, "lists of several formats");
    assert!(draft(Path::new("/no/such/folder")).expect_err("absent").to_string().contains("/no/such/folder"));
}

#[test]
fn odd_names_of_folders_stay_texts() {
    for name in ["2019", "a b", "true", "ü", "a: b", "x #1", "${x}"] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join(name);
        for class in ["1", "2"] {
            fs::create_dir_all(data.join(class)).expect("made");
            fs::write(data.join(class).join("a.mp4"), "").expect("written");
        }
        let drafted = draft(&data).unwrap_or_else(|error| panic!("{error}"));
        let path = folder.path().join("p.yaml");
        fs::write(&path, &drafted.text).expect("written");
        load(&path, &[]).unwrap_or_else(|problems| panic!("{name}: {:?}\n{}", problems.0, drafted.text));
    }
}
