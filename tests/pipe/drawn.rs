//! The files of `augment`: clips stored as pixels, and clips of labelled segments.

#![expect(clippy::print_stdout, reason = "prints a measurement")]

use crate::space::Space;
use pipe_cache::{Lookup, Store};
use pipe_clips::{ClipSize, Loader};
use pipe_schemas::tables::SampleRow;
use pipe_tables::SamplesFolder;
use pipe_tables::clips::{StoredClip, read_clips};
use pipe_tables::frames::FrameShards;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// 12 clips of 2 classes, 8 of them for training; a `command` reads the stored clips.
const STORED: &str = r#"pipeline: p
stages:
  made:
    uses: synthesize
    with: { classes: [move_left, move_right], groups: 3, test_groups: 1, frames_per_clip: 12, width_px: 96, height_px: 72 }
  videos: { uses: ingest, inputs: { folder: made } }
  labels: { uses: annotations, inputs: { videos: videos, lists: made.lists }, with: { format: ucf101 } }
  frames: { uses: frames, inputs: { videos: videos }, with: { sample: all, buckets: 2 } }
  samples:
    uses: augment
    inputs: { frames: frames, labels: labels }
    with:
      epochs: 2
      train:
        sampler: { type: SampleFrames, clip_len: 4 }
        transforms: [{ type: RandomCrop, size: 64 }, { type: Resize, scale: { exact: [40, 32] } }, { type: Flip }, { type: ColorJitter }]
      test:
        sampler: { type: SampleFrames, clip_len: 6, num_clips: 2 }
        transforms: [{ type: Resize, scale: { exact: [40, 32] } }]
      blending: { batch_size: 8, augments: [{ type: MixupBlending, alpha: 1.0 }] }
      store_clips: { epochs: 1 }
  names:
    uses: command
    inputs: { clips: samples.clips }
    with: { shell: 'ls "${inputs.clips}" > "${outputs.names}"', outputs: { names: names.txt } }
"#;

fn out(space: &Space, below: &str) -> PathBuf {
    space.path(".pipe/out/p").join(below)
}

/// Returns the files that the `command` found.
fn names(space: &Space) -> Vec<String> {
    let text = std::fs::read_to_string(out(space, "names/names.txt")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn samples(space: &Space) -> SamplesFolder {
    SamplesFolder::open(out(space, "samples/samples"))
}

/// Returns the clips of `rows` as the loader makes them for training.
fn loaded(space: &Space, rows: Vec<SampleRow>, frames: usize) -> Vec<StoredClip> {
    let places: Vec<(u32, u32)> = rows.iter().map(|row| (row.epoch, row.position)).collect();
    let loader = Loader::open(&out(space, "frames/frames")).unwrap();
    let batches =
        loader.clips(rows, ClipSize { frames, height: 32, width: 40 }, 5, 1).unwrap().with_targets(2).unwrap();
    let mut clips = Vec::new();
    for batch in batches {
        let batch = batch.unwrap();
        let pixels = batch.pixels.chunks_exact(batch.pixels.len() / batch.num_clips);
        for ((place, pixels), target) in batch.rows.clone().zip(pixels).zip(batch.targets.chunks_exact(2)) {
            let labels = (0..).zip(target.iter().copied()).filter(|(_, share)| *share > 0.0).collect();
            let (epoch, position) = places[place];
            clips.push(StoredClip { epoch, position, labels, pixels: pixels.to_vec() });
        }
    }
    clips
}

#[test]
fn stored_clips_equal_those_of_the_loader_and_are_rewritten_when_a_parameter_changes() {
    let space = Space::new();
    space.write("p.yaml", STORED);
    let first = space.run("p.yaml", &[]).ok();
    let summary = first.stage("samples")["summary"].to_string();
    assert!(summary.contains("16 clips stored in 2 shards"), "{summary}");
    assert_eq!(names(&space), ["test-00000.parquet", "train-0000-00000.parquet"]);
    let stored = |name: &str| read_clips(&out(&space, "samples/clips").join(name)).unwrap();
    let train = stored("train-0000-00000.parquet");
    assert!(train == loaded(&space, samples(&space).epoch(0).unwrap(), 4));
    assert_eq!((train.len(), train[0].pixels.len()), (8, 4 * 32 * 40 * 3));
    assert!(train.iter().any(|clip| clip.labels.len() == 2), "some are blended with the other class");
    let test = stored("test-00000.parquet");
    assert!(test.len() == 8 && test == loaded(&space, samples(&space).test().unwrap(), 6));

    let again = space.run("p.yaml", &[]).ok();
    assert!(again.stages("ran").is_empty() && again.digests() == first.digests());

    let store = ["stages.samples.with.store_clips.epochs=2", "stages.samples.with.store_clips.test=false"];
    let more = space.run("p.yaml", &store).ok();
    assert_eq!(more.stages("ran"), ["names", "samples"]);
    let started = more.events.iter().find(|event| event["event"] == "stage_started" && event["stage"] == "samples");
    let reasons = started.unwrap()["reasons"].to_string();
    assert!(reasons.contains("with.store_clips.epochs: 1 → 2"), "{reasons}");
    assert_eq!(names(&space), ["train-0000-00000.parquet", "train-0001-00000.parquet"]);
    assert!(stored("train-0000-00000.parquet") == train, "the first epoch is unchanged");
    let second = stored("train-0001-00000.parquet");
    assert!(second == loaded(&space, samples(&space).epoch(1).unwrap(), 4) && second[0].pixels != train[0].pixels);

    let other = space.run("p.yaml", &["stages.samples.with.seed=7"]).ok();
    assert_eq!(other.stages("ran"), ["names", "samples"]);
    assert!(stored("train-0000-00000.parquet") != train);
}

#[test]
fn the_output_clips_needs_store_clips() {
    let space = Space::new();
    space.write("p.yaml", STORED);
    let run = space.run("p.yaml", &["stages.samples.with.store_clips=null"]);
    assert_eq!(run.code, Some(2));
    let mistakes = format!("{:?}", run.events);
    assert!(mistakes.contains("has no output `clips`"), "{mistakes} {}", run.stderr);
}

/// Clips are written one row group at a time, so ten times as many clips need no more memory. An epoch has 32 clips of 0.6 MB.
#[test]
fn memory_does_not_grow_with_the_number_of_stored_clips() {
    let space = Space::new();
    let text = STORED
        .replace("exact: [40, 32]", "exact: [224, 224]")
        .replace(", { type: ColorJitter }", "")
        .replace("store_clips: { epochs: 1 }", "store_clips: {}")
        .replace("    uses: augment\n", "    uses: augment\n    resources: { cpus: 2 }\n");
    space.write("p.yaml", &text);
    let store = Store::open(&space.path(".pipe")).unwrap();
    let peak_mb = |epochs: &str| {
        let settings = ["stages.samples.with.num_sample=4", "stages.names=null", epochs];
        let run = space.run("p.yaml", &settings).ok();
        let Lookup::Hit(record) = store.find(run.stage("samples")["key"].as_str().unwrap().parse().unwrap()) else {
            panic!("the result is in the store")
        };
        // Without `/proc` the peak is unknown.
        record.peak_memory_bytes.unwrap_or_default() >> 20
    };
    let (short, long) = (peak_mb("stages.samples.with.epochs=2"), peak_mb("stages.samples.with.epochs=20"));
    println!("peak memory: {short} MiB for 64 clips, {long} MiB for 640, which are 385 MB");
    assert!(long < short + 48, "{short} MiB, {long} MiB");
}

/// Videos of 2 s at 25 frames per second, with the given parameters of `labels` and `frames`.
fn segments(labels: &str, frames: &str) -> String {
    format!(
        "pipeline: p
stages:
  made:
    uses: synthesize
    with: {{ classes: [move_left, move_right], groups: 2, test_groups: 1, clips_per_group: 1, frames_per_clip: 50,
      width_px: 64, height_px: 48 }}
  videos: {{ uses: ingest, inputs: {{ folder: made }} }}
  labels:
    uses: annotations
    inputs: {{ videos: videos }}
    with: {labels}
  frames: {{ uses: frames, inputs: {{ videos: videos }}, with: {frames} }}
  samples:
    uses: augment
    inputs: {{ frames: frames, labels: labels }}
    with:
      epochs: 20
      train: {{ sampler: {{ type: UniformSample, clip_len: 4 }}, transforms: [] }}
      test: {{ sampler: {{ type: SampleFrames, clip_len: 2, num_clips: 3 }}, transforms: [] }}
"
    )
}

/// For each segment, its class and the times in milliseconds of the frames that its clips show.
type Shown = BTreeMap<(String, String), (u32, BTreeSet<i64>)>;

fn shown_in_training(space: &Space) -> Shown {
    shown(space, (0..20).flat_map(|epoch| samples(space).epoch(epoch).unwrap()))
}

fn shown_in_test(space: &Space) -> Shown {
    shown(space, samples(space).test().unwrap())
}

fn shown(space: &Space, rows: impl IntoIterator<Item = SampleRow>) -> Shown {
    let shards = FrameShards::open(&out(space, "frames/frames")).unwrap();
    let mut shown = Shown::new();
    for row in rows {
        let pts_nanos = shards.pts_nanos(shards.find(&row.video_id).unwrap()).unwrap();
        let times = row.frame_indices.iter().map(|index| pts_nanos[*index as usize] / 1_000_000);
        let segment = format!("{:?} {:?}", row.start_secs.unwrap(), row.end_secs.unwrap());
        let (class_index, seen) = shown.entry((row.video_id.clone(), segment)).or_default();
        *class_index = row.class_index;
        seen.extend(times);
    }
    shown
}

#[track_caller]
fn check_segment(shown: &Shown, segment: (&str, &str), class_index: u32, first: i64, last: i64) {
    let (found, times) = &shown[&(segment.0.to_owned(), segment.1.to_owned())];
    let ends = times.first().copied().zip(times.last().copied());
    assert_eq!((*found, ends), (class_index, Some((first, last))), "{segment:?}: {times:?}");
}

const LEFT: [&str; 2] = ["MoveLeft/v_MoveLeft_g01_c01", "MoveLeft/v_MoveLeft_g02_c01"];
const RIGHT: &str = "MoveRight/v_MoveRight_g02_c01";

/// In 20 epochs the first and the last frame of a segment are drawn, and no frame before or after.
#[test]
fn clips_of_an_activitynet_list_come_from_their_segments() {
    let space = Space::new();
    space.write(
        "lists/activity.json",
        r#"{"database": {
            "MoveLeft_g02_c01": {"subset": "training", "annotations": [
                {"segment": [0.4, 0.8], "label": "wave"}, {"segment": [1.2, 1.6], "label": "jump"}]},
            "MoveRight_g02_c01": {"subset": "training", "annotations": [
                {"segment": [0, 0.2], "label": "jump"}, {"segment": [3, 4], "label": "wave"}]},
            "MoveLeft_g01_c01": {"subset": "validation", "annotations": [{"segment": [1.0, 2.5], "label": "wave"}]},
            "MoveRight_g01_c01": {"subset": "validation", "annotations": []}}}"#,
    );
    space.write(
        "p.yaml",
        &segments("{ format: activitynet, root: lists, file: activity.json }", "{ sample: all, buckets: 2 }"),
    );
    let run = space.run("p.yaml", &[]).ok();
    let drawn = run.stage("samples");
    assert!(drawn["summary"].to_string().contains("3 training clips x 20 epochs, 3 test views"), "{drawn}");
    let labels = run.stage("labels")["warnings"].to_string();
    let expect = "1 segment lies past the end of its video: MoveRight_g02_c01 (activity.json:";
    assert!(labels.contains(expect) && labels.contains("3 to 4 s of a video of 2.00 s"), "{labels}");
    let train = shown_in_training(&space);
    assert_eq!(train.len(), 3);
    // Classes are sorted: jump is 0.
    check_segment(&train, (LEFT[1], "0.4 0.8"), 1, 400, 760);
    check_segment(&train, (LEFT[1], "1.2 1.6"), 0, 1200, 1560);
    check_segment(&train, (RIGHT, "0.0 0.2"), 0, 0, 160);
    let test = shown_in_test(&space);
    let (_, times) = &test[&(LEFT[0].to_owned(), "1.0 2.5".to_owned())];
    assert!(test.len() == 1 && times.iter().all(|time| (1000..2000).contains(time)), "{test:?}");

    // A different end changes the labels, but the videos are not decoded again.
    let list = std::fs::read_to_string(space.path("lists/activity.json")).unwrap();
    space.write("lists/activity.json", &list.replace("1.2, 1.6", "1.2, 2"));
    assert_eq!(space.run("p.yaml", &[]).ok().stages("ran"), ["labels", "samples"]);
    check_segment(&shown_in_training(&space), (LEFT[1], "1.2 2.0"), 0, 1200, 1960);
}

/// The same with only some frames stored: times decide, not positions.
#[test]
fn clips_of_a_table_with_times_come_from_their_segments() {
    let space = Space::new();
    space.write(
        "lists/all.csv",
        "file,what,part,from,to\n\
         v_MoveLeft_g02_c01.avi,left,train,0.5,1.5\n\
         v_MoveLeft_g02_c01.avi,right,train,1.5,2\n\
         v_MoveRight_g02_c01.avi,right,train,0,2\n\
         v_MoveLeft_g01_c01.avi,left,test,0.2,0.4\n",
    );
    let labels = "{ format: table, root: lists, file: all.csv, missing: warn, unlabelled: off, \
                  columns: { video: file, label: what, subset: part, start: from, end: to } }";
    space.write("p.yaml", &segments(labels, "{ sample: { fps: 5 }, buckets: 2 }"));
    let run = space.run("p.yaml", &[]).ok();
    let drawn = run.stage("samples");
    assert!(drawn["summary"].to_string().contains("3 training clips x 20 epochs, 3 test views"), "{drawn}");
    let train = shown_in_training(&space);
    check_segment(&train, (LEFT[1], "0.5 1.5"), 0, 600, 1400);
    check_segment(&train, (LEFT[1], "1.5 2.0"), 1, 1600, 1800);
    check_segment(&train, (RIGHT, "0.0 2.0"), 1, 0, 1800);
    check_segment(&shown_in_test(&space), (LEFT[0], "0.2 0.4"), 0, 200, 200);
}
