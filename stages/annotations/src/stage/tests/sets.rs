//! The lists of published sets, as they are and with planted errors.

use super::*;

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
