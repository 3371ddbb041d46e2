use super::*;
use fs_err as fs;
use pipe_clips::ClipSize;
use pipe_schemas::stages::augment::AugmentParams;
use pipe_schemas::tables::{
    AnnotationRow, ClassRow, FrameIndexRow, Labelling, MissingCounts, MissingReason, MissingRow, SampleRow, Split,
};
use pipe_tables::clips::read_clips;
use pipe_tables::frames::{EncodedFrame, INDEX_FILE, ShardWriter};
use pipe_tables::{LabelsFolder, write_rows};
use pipe_testkit::{Bench, Ran, input};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The index of frame shards, and labels of `num_train` and `num_test` videos, all of them present.
struct Fixture {
    folder: TempDir,
    index: Vec<FrameIndexRow>,
    annotations: Vec<AnnotationRow>,
    labelling: Labelling,
}

/// The result of a run.
struct Outcome {
    ran: Ran,
    samples: SamplesFolder,
    folder: TempDir,
}

impl Fixture {
    fn new(num_train: u32, num_test: u32) -> Self {
        let video_id = |number| format!("Biking/v_Biking_g{number:05}");
        let index = (0..num_train + num_test).map(|number| FrameIndexRow {
            video_id: video_id(number),
            shard: "shard-00000.parquet".into(),
            row_group: number % 50,
            num_frames: 60 + number % 50,
            width_px: 341,
            height_px: 256,
            fps: 10.0,
        });
        let annotations = (0..num_train + num_test).map(|number| AnnotationRow {
            video_id: video_id(number),
            split: if number < num_train { Split::Train } else { Split::Test },
            class_index: number % 2,
            group: String::new(),
            start_secs: None,
            end_secs: None,
            present: true,
            source_file: "list".into(),
            source_line: number + 1,
        });
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            index: index.collect(),
            annotations: annotations.collect(),
            labelling: Labelling::SingleLabel,
        }
    }

    /// Writes the inputs and returns the stage, ready to run on them.
    fn bench(&self, params: &Value, threads: usize) -> Bench<'static> {
        let (frames, labels) = (self.folder.path().join("frames"), self.folder.path().join("labels"));
        fs::create_dir_all(&frames).expect("made");
        write_rows(&frames.join(INDEX_FILE), &self.index).expect("written");
        write_shard(&frames.join("shard-00000.parquet"));
        LabelsFolder::write(&labels, &self.annotations, &classes(), self.labelling).expect("written");
        Bench::new(&Augment, params, [("frames", input(frames)), ("labels", input(labels))], threads)
    }

    fn run(&self, params: &Value, threads: usize) -> Outcome {
        let folder = tempfile::tempdir().expect("a folder");
        let ran = self.bench(params, threads).run(&folder.path().join("output"));
        Outcome { ran, samples: SamplesFolder::open(folder.path().join("output/samples")), folder }
    }
}

/// Writes a shard of 50 videos, of 60, 61 and so on frames, for as many rows of the index as there are.
fn write_shard(path: &Path) {
    let mut writer = ShardWriter::create(path).expect("created");
    for number in 0..50_usize {
        // It is brighter to the right.
        let pixels: Vec<u8> = (0..341 * 256).flat_map(|at| [(at % 341 * 3 / 4) as u8, 5 * number as u8, 128]).collect();
        let format = turbojpeg::PixelFormat::RGB;
        let image = turbojpeg::Image { pixels: &pixels[..], width: 341, pitch: 3 * 341, height: 256, format };
        let jpeg = turbojpeg::compress(image, 60, turbojpeg::Subsamp::Sub2x2).expect("a JPEG").to_vec();
        let frame = |index| EncodedFrame { pts_nanos: index * 100_000_000, jpeg: jpeg.clone() };
        let frames: Vec<EncodedFrame> = (0..60 + number as i64).map(frame).collect();
        writer.write_video(&format!("{number}"), &frames, 341, 256).expect("written");
    }
    writer.finish().expect("finished");
}

fn classes() -> Vec<ClassRow> {
    ["Archery", "Biking"]
        .into_iter()
        .zip(0..)
        .map(|(name, class_index)| ClassRow { class_index, class_name: name.into() })
        .collect()
}

fn params(epochs: u32) -> Value {
    let sampler = json!({"type": "SampleFrames", "clip_len": 1, "num_clips": 8});
    let train = json!([
        {"type": "Resize", "scale": {"short_side_px": 256}},
        {"type": "RandomResizedCrop"},
        {"type": "Resize", "scale": {"exact": [224, 224]}},
        {"type": "Flip"}
    ]);
    json!({"epochs": epochs, "seed": 1, "train": {"sampler": sampler, "transforms": train}})
}

impl Outcome {
    fn train(&self, epochs: u32) -> Vec<SampleRow> {
        (0..epochs).flat_map(|epoch| self.samples.epoch(epoch).expect("read")).collect()
    }

    fn test(&self) -> Vec<SampleRow> {
        self.samples.test().expect("read")
    }

    fn preprocessing(&self) -> Preprocessing {
        self.samples.preprocessing().expect("read")
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join("output").join(below)
    }
}

#[test]
fn several_labels_of_a_video_are_one_sample() {
    let mut fixture = Fixture::new(4, 1);
    fixture.annotations[1].video_id = fixture.annotations[0].video_id.clone();
    let error = fixture.run(&params(1), 1).ran.error();
    assert_eq!(error, "`Biking/v_Biking_g00000` has several labels, but `labelling.json` allows one per video");
    fixture.labelling = Labelling::MultiLabel;
    let outcome = fixture.run(&params(1), 1);
    assert_eq!(outcome.ran.lines(), ["3 training clips x 1 epoch, 1 test view"]);
    let mut labels: Vec<_> = outcome.train(1).iter().map(|row| row.class_indices().collect::<Vec<_>>()).collect();
    labels.sort();
    assert_eq!(labels, [vec![0], vec![0, 1], vec![1]]);
    assert_eq!(outcome.preprocessing().labelling, Labelling::MultiLabel);
    let mut params = params(1);
    params["epoch_videos"] = json!("class_balanced");
    let error = fixture.run(&params, 1).ran.error();
    assert_eq!(error, "`epoch_videos: class_balanced` needs one label per video, but videos may have several");
}

/// The frames of the fixture are 100 ms apart.
#[test]
fn segments_are_samples_of_their_frames() {
    let mut fixture = Fixture::new(3, 2);
    let mut segment = |number: usize, of: usize, start_secs, end_secs| {
        let video_id = fixture.annotations[of].video_id.clone();
        let row = &mut fixture.annotations[number];
        (row.video_id, row.start_secs, row.end_secs) = (video_id, Some(start_secs), Some(end_secs));
    };
    segment(0, 0, 0.5, 2.5);
    segment(1, 0, 3.0, 4.0);
    segment(2, 2, 6.2, 7.0); // after its 62 frames
    segment(3, 3, 0.0, 3.0);
    segment(4, 3, 1.0, 1.05);
    let outcome = fixture.run(&params(3), 2);
    let lines = ["2 training clips x 3 epochs, 2 test views", "missing: 1 of 3 training segments (1 without a frame)"];
    assert_eq!(outcome.ran.lines(), lines);
    let expect = "1 training segment contains no frame and can't be shown: Biking/v_Biking_g00002 from 6.2 s to 7 s (list:3; the \
                  video's 62 frames are from 0 s to 6.100 s)";
    assert_eq!(outcome.ran.warnings, [expect]);
    let train = outcome.train(3);
    assert_eq!(train.len(), 6);
    for row in &train {
        let (range, class_index) = if row.start_secs == Some(0.5) { (5..25, 0) } else { (30..40, 1) };
        assert!(row.frame_indices.iter().all(|index| range.contains(index)), "{row:?}");
        assert_eq!((row.class_index, row.view), (class_index, 0));
    }
    let test = outcome.test();
    let found: Vec<_> = test.iter().map(|row| (row.start_secs, row.view, row.frame_indices.clone())).collect();
    // Of 30 frames the middles of eighths; of one frame always that.
    assert_eq!(found, [(Some(0.0), 0, vec![1, 5, 9, 13, 16, 20, 24, 28]), (Some(1.0), 0, vec![10; 8])]);
    let found = outcome.preprocessing();
    assert_eq!((found.num_missing_train, found.num_missing_test), (1, 0));

    fixture.annotations.drain(..2);
    let error = fixture.run(&params(1), 1).ran.error();
    assert!(
        error.starts_with(
            "there is nothing to train on: of 1 listed training videos or segments, 1 without a frame, for example \
             Biking/v_Biking_g00002 from 6.2 s to 7 s (list:3; "
        ),
        "{error}"
    );
}

#[test]
fn rows_of_every_epoch_and_view_are_written() {
    let mut fixture = Fixture::new(12, 5);
    fixture.annotations[3].present = false; // not in the folder
    fixture.index.remove(15); // a test video that could not be decoded
    let outcome = fixture.run(&params(3), 2);
    let missing = "missing: 1 of 12 training videos (1 absent), 1 of 5 test videos (1 not in the frame shards)";
    assert_eq!(outcome.ran.lines(), ["11 training clips x 3 epochs, 4 test views", missing]);
    assert_eq!(
        outcome.ran.warnings,
        ["1 test video is not in the frame shards and can't be shown: Biking/v_Biking_g00015 (list:16)"]
    );
    let train = outcome.train(3);
    let places: Vec<_> = train.iter().map(|row| (row.epoch, row.position)).collect();
    assert_eq!(places, (0..3).flat_map(|epoch| (0..11).map(move |at| (epoch, at))).collect::<Vec<_>>());
    assert!(train.iter().all(|row| row.video_id != fixture.annotations[3].video_id && row.frame_indices.len() == 8));
    let test = outcome.test();
    assert!(test.iter().map(|row| &row.video_id).is_sorted() && test.len() == 4);
    assert_eq!((test[0].crop_x, test[0].crop_y, test[0].crop_width), (58.0, 16.0, 224.0));
    assert_eq!(outcome.samples.classes().expect("read"), classes());
    let found = outcome.preprocessing();
    assert_eq!((found.num_missing_train, found.num_missing_test), (1, 1));
    assert_eq!((found.train_frames, found.test_frames, found.height_px, found.width_px), (8, 8, 224, 224));
    assert_eq!((found.epochs, found.test), (3, AugmentParams::default().test));
}

/// Lists of videos and segments, each lost for another reason or not at all, and every kind of sampler.
#[test]
fn every_listed_sample_is_drawn_or_missing() {
    let samplers = [
        json!({"type": "SampleFrames", "clip_len": 4}),
        json!({"type": "DenseSampleFrames", "clip_len": 4}),
        json!({"type": "UniformSample", "clip_len": 4}),
        json!({"type": "UniformSampleFrames", "clip_len": 4}),
        json!({"type": "UntrimmedSampleFrames", "clip_len": 4}),
        json!({"type": "UntrimmedSampleFrames", "clip_len": 4, "clip_interval": 125}),
    ];
    for sampler in samplers {
        // Of 60, 61, … frames at 10 a second.
        let mut fixture = Fixture::new(8, 8);
        for first in [0, 8] {
            fixture.annotations[first].present = false;
            for (number, end_secs) in [(1, 0.8), (2, 0.9), (3, 0.01)] {
                let row = &mut fixture.annotations[first + number];
                (row.start_secs, row.end_secs) = (Some(0.0), Some(end_secs));
            }
            let row = &mut fixture.annotations[first + 4];
            (row.start_secs, row.end_secs) = (Some(90.0), Some(91.0)); // after the end
        }
        fixture.index.retain(|row| !["g00005", "g00013"].iter().any(|name| row.video_id.ends_with(name)));
        let clips = json!({"sampler": sampler, "transforms": [{"type": "Resize", "scale": {"exact": [32, 32]}}]});
        let outcome = fixture.run(&json!({"epochs": 2, "train": clips, "test": clips}), 2);
        let lines = outcome.ran.lines();
        let missing = outcome.samples.missing().expect("read");
        for (split, part, rows) in [(Split::Train, "training", outcome.train(2)), (Split::Test, "test", outcome.test())]
        {
            let drawn: std::collections::BTreeSet<_> = rows.iter().map(SampleRow::sample).collect();
            let counts = MissingCounts::of(&missing, split);
            assert_eq!(drawn.len() as u64 + counts.total(), 8, "{sampler}: {missing:?}");
            assert_eq!(
                (counts.num_absent, counts.num_not_in_shards, counts.num_without_frames),
                (1, 1, 1),
                "{sampler}"
            );
            let too_short = match (&sampler["type"], &sampler["clip_interval"]) {
                (Value::String(name), Value::Null) if name == "UntrimmedSampleFrames" => 2, // 8 and 1 frames of 9
                (Value::String(name), _) if name == "UntrimmedSampleFrames" => 3,           // 8, 9 and 1 of 63
                _ => 0,
            };
            assert_eq!(counts.num_too_short, too_short, "{sampler}, {part}: {missing:?}");
            let total = counts.total();
            assert!(lines[1].contains(&format!("{total} of 8 {part} segments ({counts})")), "{lines:?}");
            let named = |row: &&MissingRow| {
                let name = crate::list::name(&row.video_id, row.start_secs.zip(row.end_secs));
                outcome.ran.warnings.iter().any(|text| text.contains(part) && text.contains(&name))
            };
            let of_split = missing.iter().filter(|row| row.split == split && row.reason != MissingReason::Absent);
            assert_eq!(of_split.filter(named).count() as u64, total - 1, "{:?}", outcome.ran.warnings);
        }
        let found = outcome.preprocessing();
        assert_eq!(found.num_missing_train + found.num_missing_test, missing.len() as u64);
    }
}

#[test]
fn a_warning_names_some_and_counts_the_rest() {
    let untrimmed = json!({"type": "UntrimmedSampleFrames", "clip_len": 4, "clip_interval": 135}); // 68 frames
    let clips = |sampler| json!({"sampler": sampler, "transforms": [{"type": "Resize", "scale": {"exact": [32, 32]}}]});
    let params =
        json!({"epochs": 1, "train": clips(json!({"type": "SampleFrames", "clip_len": 4})), "test": clips(untrimmed)});
    let mut fixture = Fixture::new(1, 8);
    fixture.annotations.iter_mut().skip(1).for_each(|row| row.source_line = 0);
    let outcome = fixture.run(&params, 1);
    assert_eq!(outcome.ran.lines()[1], "missing: 7 of 8 test videos (7 too short for the sampler)");
    let found = outcome.ran.warnings;
    let expect = "7 test videos are too short and can't be shown, because `UntrimmedSampleFrames` needs at least 68 frames: \
                  Biking/v_Biking_g00001 (list; 61 frames); Biking/v_Biking_g00002 (list; 62 frames); \
                  Biking/v_Biking_g00003 (list; 63 frames); Biking/v_Biking_g00004 (list; 64 frames); \
                  Biking/v_Biking_g00005 (list; 65 frames); and 2 more, see `missing.parquet`";
    assert_eq!(found, [expect]);
}

#[test]
fn threads_do_not_change_bytes() {
    let fixture = Fixture::new(30, 4);
    let (one, four) = (fixture.run(&params(6), 1), fixture.run(&params(6), 4));
    let epochs: Vec<String> = (0..6).map(|epoch| format!("samples/train/epoch-{epoch:04}.parquet")).collect();
    let others = [
        "samples/test.parquet",
        "samples/classes.parquet",
        "samples/missing.parquet",
        "samples/preprocessing.json",
        "contact_sheet.png",
    ];
    for file in epochs.iter().map(String::as_str).chain(others) {
        let bytes = |outcome: &Outcome| fs::read(outcome.path(file)).expect("read");
        assert!(bytes(&one) == bytes(&four), "{file}");
    }
}

#[test]
fn more_epochs_keep_the_first_ones() {
    let fixture = Fixture::new(10, 2);
    let (short, long) = (fixture.run(&params(2), 2).train(2), fixture.run(&params(5), 2).train(5));
    assert_eq!(short, long[..short.len()]);
    let other_seed = json!({"epochs": 2, "seed": 2, "train": params(2)["train"]});
    assert_ne!(short, fixture.run(&other_seed, 2).train(2));
}

/// Changes one thing at a time and compares the fields of the parts before and after.
#[test]
fn a_change_draws_only_the_parts_that_it_affects_again() {
    let plan = |fixture: &Fixture, params: &Value| fixture.bench(params, 1).plan().expect("planned");
    let mut fixture = Fixture::new(4, 2);
    let mut params = params(3);
    params["store_clips"] = json!({"epochs": 1, "test": false});
    let first = plan(&fixture, &params);
    let names: Vec<_> = first.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["epoch-0000", "epoch-0001", "epoch-0002", "test"]);
    let changed = |fixture: &Fixture, params: &Value| -> Vec<String> {
        let now = plan(fixture, params);
        let same = |part: &PlannedPart| first.iter().any(|old| (&old.name, &old.fields) == (&part.name, &part.fields));
        now.into_iter().filter(|part| !same(part)).map(|part| part.name).collect()
    };
    let with = |name: &str, value: Value| {
        let mut params = params.clone();
        params[name] = value;
        params
    };
    assert_eq!(changed(&fixture, &params), [""; 0]);
    assert_eq!(changed(&fixture, &with("epochs", json!(5))), ["epoch-0003", "epoch-0004"]);
    assert_eq!(changed(&fixture, &with("seed", json!(2))), ["epoch-0000", "epoch-0001", "epoch-0002"]);
    assert_eq!(changed(&fixture, &with("store_clips", json!({"epochs": 2, "test": false}))), ["epoch-0001"]);
    assert_eq!(changed(&fixture, &with("store_clips", Value::Null)), ["epoch-0000"]);
    let test = json!({"transforms": [{"type": "Resize", "scale": {"exact": [224, 224]}}]});
    assert_eq!(changed(&fixture, &with("test", test)), ["test"]);
    fixture.annotations[5].present = false;
    assert_eq!(changed(&fixture, &params), ["test"]);
    fixture.annotations[5].present = true;
    fixture.annotations[0].class_index = 1;
    assert_eq!(changed(&fixture, &params), ["epoch-0000", "epoch-0001", "epoch-0002"]);
}

/// The picture shows pixel operations and blending.
#[test]
fn the_contact_sheet_shows_what_the_network_sees() {
    let mut params = params(1);
    let picture = |params: &Value| {
        let outcome = Fixture::new(12, 2).run(params, 2);
        outcome.ran.lines();
        let file = fs::File::open(outcome.path("contact_sheet.png")).expect("written");
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a picture");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        (info.width, info.height, pixels)
    };
    let (width, height, plain) = picture(&params);
    // 8 frames of 112 px; 3 clips of each of 2 classes, with labels of 18 px.
    assert_eq!((width, height), (2 + 8 * 114, 2 + 6 * 130));
    let blue = |pixels: &[u8]| pixels[3 * (20 * width as usize + 20) + 2];
    assert!(blue(&plain).abs_diff(128) < 4, "{}", blue(&plain));
    let erase = json!({"type": "RandomErasing", "erase_prob": 1.0, "min_area_ratio": 1.0, "max_area_ratio": 1.0,
        "aspect_range": [1.0, 1.0], "fill_color": [1, 2, 3]});
    params["train"]["transforms"].as_array_mut().expect("a list").push(erase);
    params["blending"] = json!({"batch_size": 4, "augments": [{"type": "MixupBlending", "alpha": 1.0}]});
    params["num_sample"] = json!(2);
    let (_, _, erased) = picture(&params);
    assert_eq!(blue(&erased), 3);
}

/// Stored clips are bit-identical to those of the loader, even if they are blended with clips of other shards.
#[test]
fn stored_clips_are_the_clips_of_training() {
    let mut params = params(2);
    params["num_sample"] = json!(7);
    params["train"]["transforms"].as_array_mut().expect("a list").push(json!({"type": "ColorJitter"}));
    params["blending"] = json!({"batch_size": 500, "augments": [{"type": "MixupBlending", "alpha": 1.0}]});
    params["store_clips"] = json!({"epochs": 1});
    let mut fixture = Fixture::new(42, 2);
    fixture.annotations[1].video_id = fixture.annotations[0].video_id.clone();
    fixture.labelling = Labelling::MultiLabel;
    let outcome = fixture.run(&params, 2);
    // 41 videos, 7 times; 224x224x3x8 bytes a clip are 13 in a row group, and 16 of these a shard.
    let lines = outcome.ran.lines();
    assert!(lines[1].starts_with("289 clips stored in 3 shards, "), "{lines:?}");
    let clips = outcome.path("clips");
    let mut names: Vec<_> = fs::read_dir(&clips)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!(names, ["test-00000.parquet", "train-0000-00000.parquet", "train-0000-00001.parquet"]);
    let read = |names: &[String]| -> Vec<_> {
        names.iter().flat_map(|name| read_clips(&clips.join(name)).expect("read")).collect()
    };
    let size = ClipSize { frames: 8, height: 224, width: 224 };
    for (table, rows, names) in [("train", outcome.train(1), &names[1..]), ("test", outcome.test(), &names[..1])] {
        let stored = read(names);
        assert_eq!(stored.len(), rows.len());
        let loader = pipe_clips::Loader::open(&fixture.folder.path().join("frames")).expect("opened");
        let batches = loader.clips(rows.clone(), size, 5, 2).expect("started").with_targets(2).expect("classes");
        for batch in batches {
            let batch = batch.expect("loaded");
            let pixels = batch.pixels.chunks_exact(batch.pixels.len() / batch.num_clips);
            for ((place, pixels), target) in batch.rows.clone().zip(pixels).zip(batch.targets.chunks_exact(2)) {
                let (found, row) = (&stored[place], &rows[place]);
                assert_eq!((found.epoch, found.position), (row.epoch, row.position));
                assert!(found.pixels == pixels, "{table} {place}");
                let labels: Vec<_> = (0..).zip(target.iter().copied()).filter(|(_, share)| *share > 0.0).collect();
                assert_eq!(found.labels, labels);
            }
        }
    }
    let other = fixture.run(&params, 3);
    for name in &names {
        let bytes = |outcome: &Outcome| fs::read(outcome.path("clips").join(name)).expect("read");
        assert!(bytes(&outcome) == bytes(&other), "{name}");
    }
}

#[test]
fn unknown_classes_are_refused() {
    let mut params = params(1);
    params["train"]["transforms"][3] = json!({"type": "Flip", "flip_label_map": {"0": 2}});
    let expect = "`flip_label_map` names class 2, but there are 2 classes, counted from 0";
    assert_eq!(Fixture::new(2, 1).run(&params, 1).ran.error(), expect);
}

#[test]
fn an_empty_list_is_reported() {
    let outcome = Fixture::new(3, 0).run(&params(1), 1);
    assert_eq!(outcome.ran.warnings, ["the test list is empty; nothing can be evaluated"]);
    assert_eq!(outcome.test(), []);

    let mut fixture = Fixture::new(3, 1);
    fixture.annotations.iter_mut().for_each(|row| row.present = false);
    let outcome = fixture.run(&params(1), 1);
    let expect = "there is nothing to train on: of 3 listed training videos or segments, 3 absent, for example \
                  Biking/v_Biking_g00000 (list:1)";
    assert_eq!(outcome.ran.error(), expect);
    assert!(outcome.ran.result.expect_err("it fails").help().is_some_and(|help| help.contains("`ingest`")));
}

#[test]
fn clips_of_two_sizes_are_refused() {
    let mut params = params(1);
    params["test"] = json!({"transforms": [{"type": "ThreeCrop", "crop_size": 256}]});
    let outcome = Fixture::new(2, 1).run(&params, 1);
    let expect = "clips differ in size: train clips of `Biking/v_Biking_g00000` have 224x224 px, test clips of \
                  `Biking/v_Biking_g00002` 256x256 px";
    assert_eq!(outcome.ran.error(), expect);

    params["train"]["transforms"] = json!([{"type": "CenterCrop", "crop_size": 300}]);
    let expect = "the train pipeline does not fit the frames: can't make a clip of `Biking/v_Biking_g00000`: CenterCrop \
                  of 300x300 px does not fit into 341x256 px";
    assert_eq!(Fixture::new(2, 1).run(&params, 1).ran.error(), expect);
}

/// Prints how long the tables of UCF101 for 50 epochs take; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "its result is for people")]
fn measure_ucf101() {
    let fixture = Fixture::new(9_537, 3_783);
    let start = std::time::Instant::now();
    let outcome = fixture.run(&params(50), 2);
    let lines = outcome.ran.lines().join("; ");
    let bytes = fs::metadata(outcome.path("samples/train/epoch-0000.parquet")).expect("written").len();
    eprintln!("{lines}: {:.1} s, {bytes} bytes per epoch", start.elapsed().as_secs_f64());
}
