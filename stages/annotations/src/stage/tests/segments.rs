//! Segments of videos: how they are counted, and those outside their video.

use super::*;

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
