//! Finds a real clip that was re-encoded and listed in the other split: `ingest` with `verify: decode`, then `annotations`.

use pipe_pixels::RgbImage;
use pipe_schemas::tables::VideoRow;
use pipe_stage::SourceFile;
use pipe_stage::protocol::Input;
use pipe_stage_annotations::Annotations;
use pipe_stage_ingest::Ingest;
use pipe_testkit::{Bench, Ran, input, run_stage, shared};
use pipe_video::{Decoder, Encoder, EncoderParams, FrameScaler, Orientation};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Links to real clips, laid out as in UCF101: `Class/v_Class_gNN_cMM.avi`. Tests add more.
struct Clips {
    folder: tempfile::TempDir,
    names: Vec<String>,
}

impl Clips {
    fn new() -> Option<Self> {
        let shared = shared("data/clips/ucf101")?;
        let clips = Self { folder: tempfile::tempdir().expect("a folder"), names: Vec::new() };
        let mut names = Vec::new();
        for class in fs_err::read_dir(&shared).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let to = clips.path("media").join(class.file_name().expect("a name"));
            fs_err::create_dir_all(&to).expect("made");
            for clip in fs_err::read_dir(&class).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                symlink(&clip, to.join(clip.file_name().expect("a name"))).expect("a link");
                names.push(clip.strip_prefix(&shared).expect("below").to_str().expect("UTF-8").to_owned());
            }
        }
        names.sort();
        Some(Self { names, ..clips })
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Adds a re-encoded copy of a clip, in another size, without `cut` frames at the start and the end.
    fn add_copy(&mut self, of: &str, name: &str, (width_px, height_px): (u32, u32), quantizer: u32, cut: usize) {
        let media = self.path("media");
        let params = EncoderParams { width_px, height_px, fps: 25, quantizer };
        let mut encoder = Encoder::create(&media.join(name), params).expect("created");
        let mut scaler = FrameScaler::new(width_px, height_px, Orientation::default()).expect("a scaler");
        let num_frames = Decoder::open(&media.join(of)).expect("opened").count();
        for frame in Decoder::open(&media.join(of)).expect("opened").take(num_frames - cut).skip(cut) {
            let image = scaler.scale_rgb(&frame.expect("decoded")).expect("scaled");
            encoder.write_rgb(&image.pixels).expect("written");
        }
        encoder.finish().expect("finished");
        self.names.push(name.to_owned());
    }

    fn ingest(&self, verify: &str) -> Vec<VideoRow> {
        let source = |name: &String| {
            let bytes = fs_err::read(self.path("media").join(name)).expect("read");
            SourceFile { path: name.clone(), digest: blake3::hash(&bytes).to_string(), size_bytes: bytes.len() as u64 }
        };
        let list = self.path("files.json");
        let files: Vec<SourceFile> = self.names.iter().map(source).collect();
        fs_err::write(&list, serde_json::to_vec(&files).expect("JSON")).expect("written");
        let folder = Input { files: Some(list), ..input(self.path("media")) };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let bench = Bench::new(&Ingest, &json!({ "verify": verify }), [("folder", folder)], threads);
        bench.run(&self.path("ingest")).lines();
        pipe_tables::read_rows(&self.path("ingest/videos.parquet")).expect("read")
    }

    /// Runs `annotations`, with the clips for which `is_test` is true in the test list.
    fn annotations(&self, is_test: impl Fn(&str) -> bool, params: Value) -> Ran {
        let lists = ["classInd.txt", "trainlist01.txt", "testlist01.txt"];
        let mut classes: Vec<&str> = self.names.iter().filter_map(|name| Some(name.split_once('/')?.0)).collect();
        classes.dedup();
        let number = |name: &str| classes.iter().position(|class| name.starts_with(class)).expect("a class") + 1;
        let (test, train): (Vec<&String>, Vec<&String>) = self.names.iter().partition(|name| is_test(name));
        let texts = [
            (1..).zip(&classes).map(|(number, class)| format!("{number} {class}\n")).collect::<String>(),
            train.into_iter().map(|name| format!("{name} {}\n", number(name))).collect(),
            test.into_iter().map(|name| format!("{name}\n")).collect(),
        ];
        fs_err::create_dir_all(self.path("lists")).expect("made");
        let file = |(name, text): (&str, String)| {
            fs_err::write(self.path("lists").join(name), &text).expect("written");
            SourceFile { path: name.into(), digest: String::new(), size_bytes: text.len() as u64 }
        };
        let files: Vec<SourceFile> = lists.into_iter().zip(texts).map(file).collect();
        fs_err::write(self.path("lists.json"), serde_json::to_vec(&files).expect("JSON")).expect("written");
        let lists = Input { files: Some(self.path("lists.json")), ..input(self.path("lists")) };
        let videos = input(self.path("ingest/videos.parquet"));
        let mut with = json!({"format": "ucf101", "label_gaps": "off"});
        with.as_object_mut().expect("a map").extend(params.as_object().expect("a map").clone());
        run_stage(&Annotations, &with, [("videos", videos), ("lists", lists)], self.path("labels"), 1)
    }
}

/// Returns the group number, after `_g`.
fn group(name: &str) -> u32 {
    let (_, rest) = name.rsplit_once("_g").expect("a group");
    rest[..2].parse().expect("a number")
}

#[test]
fn re_encoded_copies_are_found_and_other_clips_are_not() {
    let Some(mut clips) = Clips::new() else { return };
    let originals = clips.names.clone();
    let odd: Vec<&String> = originals.iter().filter(|name| group(name) % 2 == 1).collect();
    let copies = [((176, 144), 8, 0), ((640, 480), 2, 0), ((320, 240), 20, 2), ((240, 180), 6, 4)];
    let mut expect = Vec::new();
    for (number, ((size, quantizer, cut), of)) in copies.into_iter().zip(odd.iter().step_by(odd.len() / 4)).enumerate()
    {
        let name = format!("{}_g9{}_c01.avi", of.rsplit_once("_g").expect("a group").0, 2 * number);
        clips.add_copy(of, &name, size, quantizer, cut);
        expect.push(((*of).clone(), name));
    }
    clips.names.sort();
    let rows = clips.ingest("decode");
    assert!(rows.iter().all(|row| !row.hashes.is_empty() && row.hashes.len() <= 64), "a clip has no hashes");
    let is_test = |name: &str| group(name).is_multiple_of(2);
    let ran = clips.annotations(is_test, json!({}));
    assert_eq!(ran.lines().len(), 1, "{:?}", ran.lines());
    let first =
        format!("4 pairs of a training and a test video look alike; first: {} (trainlist01.txt:1) and", expect[0].0);
    assert!(ran.warnings.iter().any(|text| text.starts_with(&first)), "{:?}", ran.warnings);
    let report: Value =
        serde_json::from_slice(&fs_err::read(clips.path("labels/report.json")).expect("read")).expect("JSON");
    let examples = report["checks"]["near_duplicates"]["examples"].as_array().expect("a list");
    assert_eq!(examples.len(), expect.len(), "{examples:?}");
    for (example, (of, copy)) in examples.iter().zip(&expect) {
        let text = example.as_str().expect("text");
        assert!(
            text.starts_with(&format!("{of} (trainlist01.txt:"))
                && text.contains(&format!(" and {copy} (testlist01.txt:")),
            "{text}"
        );
        assert!(text.ends_with(" frames match"), "{text}");
    }
    let error = clips.annotations(is_test, json!({"near_duplicates": "error"})).error();
    assert!(error.contains("4 pairs of a training and a test video look alike; first:\n  "), "{error}");
}

#[test]
fn the_check_of_probed_videos_is_skipped_and_reported() {
    let Some(mut clips) = Clips::new() else { return };
    clips.names.truncate(8);
    assert!(clips.ingest("probe").iter().all(|row| row.hashes.is_empty()));
    let is_test = |name: &str| group(name).is_multiple_of(2);
    let note = "near-duplicate check skipped (needs `verify: decode` on ingest)";
    assert_eq!(clips.annotations(is_test, json!({})).lines()[1..], [note]);
    assert_eq!(clips.annotations(is_test, json!({"near_duplicates": "off"})).lines().len(), 1);
    let failed = clips.annotations(is_test, json!({"near_duplicates": "error"}));
    assert_eq!(failed.error(), "the near-duplicate check needs decoded videos, but `ingest` only probed them");
}

/// Makes the image of a copy from an image of the original; `None` leaves the frame out.
type Change = fn(usize, usize, &RgbImage) -> Option<RgbImage>;

/// Returns a part of an image.
fn part(image: &RgbImage, (left, top): (u32, u32), (width_px, height_px): (u32, u32)) -> RgbImage {
    let rows = (top..top + height_px).map(|row| 3 * (row * image.width_px + left) as usize);
    let pixels = rows.flat_map(|start| &image.pixels[start..start + 3 * width_px as usize]).copied().collect();
    RgbImage { width_px, height_px, pixels }
}

fn mirrored(image: &RgbImage) -> RgbImage {
    let mut upright = RgbImage::default();
    image.orient(Orientation { mirrored: true, rotation: 0 }, &mut upright);
    upright
}

fn letterboxed(image: &RgbImage) -> RgbImage {
    let bar = vec![16; 3 * image.width_px as usize * 24];
    let pixels = [&bar[..], &image.pixels, &bar].concat();
    RgbImage { width_px: image.width_px, height_px: image.height_px + 48, pixels }
}

/// Kinds of copies, of which README.md states how many are found.
const COPIES: [(&str, Change); 8] = [
    ("encoded again", |_, _, image| Some(image.clone())),
    ("without their first 5 frames", |frame, _, image| (frame >= 5).then(|| image.clone())),
    ("of their first half", |frame, frames, image| (frame < frames / 2).then(|| image.clone())),
    ("mirrored", |_, _, image| Some(mirrored(image))),
    ("brighter", |_, _, image| {
        let pixels = image.pixels.iter().map(|&value| value.saturating_add(25)).collect();
        Some(RgbImage { pixels, ..*image })
    }),
    ("mirrored, without their first 7 frames", |frame, _, image| (frame >= 7).then(|| mirrored(image))),
    ("cropped by 10 %", |_, _, image| {
        let size = (image.width_px * 9 / 10 / 2 * 2, image.height_px * 9 / 10 / 2 * 2);
        Some(part(image, ((image.width_px - size.0) / 2, (image.height_px - size.1) / 2), size))
    }),
    ("letterboxed", |_, _, image| Some(letterboxed(image))),
];

/// Returns how many pairs the stage reports.
fn num_pairs(ran: &Ran) -> usize {
    ran.lines();
    let warning = ran.warnings.iter().find(|text| text.contains("look alike"));
    warning.map_or(0, |text| text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number"))
}

/// Writes a changed copy of a clip.
fn write_changed(from: &Path, to: &Path, change: Change) {
    let num_frames = Decoder::open(from).expect("opened").count();
    let mut encoder = None;
    for (number, frame) in Decoder::open(from).expect("opened").enumerate() {
        let frame = frame.expect("decoded");
        let mut scaler =
            FrameScaler::new(frame.width_px(), frame.height_px(), Orientation::default()).expect("a scaler");
        let image = scaler.scale_rgb(&frame).expect("converted");
        let Some(RgbImage { width_px, height_px, pixels }) = change(number, num_frames, image) else { continue };
        let params = EncoderParams { width_px, height_px, fps: 25, quantizer: 6 };
        let encoder = encoder.get_or_insert_with(|| Encoder::create(to, params).expect("created"));
        encoder.write_rgb(&pixels).expect("written");
    }
    encoder.expect("a frame").finish().expect("finished");
}

#[test]
#[ignore = "takes minutes"]
fn the_rates_of_found_copies_are_those_of_the_readme() {
    let Some(mut clips) = Clips::new() else { return };
    let originals = clips.names.clone();
    // Each pair of originals differs in one of these bits of their numbers.
    clips.ingest("decode");
    let false_pairs: usize = (0..usize::BITS)
        .take_while(|bit| 1 << bit < originals.len())
        .map(|bit| {
            let is_test = |name: &str| {
                let number = originals.iter().position(|original| original == name).expect("an original");
                number >> bit & 1 == 1
            };
            num_pairs(&clips.annotations(is_test, json!({"group_leakage": "off"})))
        })
        .sum();
    print(&format!("{} clips, false pairs: {false_pairs}", originals.len()));
    for (what, change) in COPIES {
        clips.names.clone_from(&originals);
        for (number, of) in originals.iter().enumerate() {
            let name = format!("{}_g98_c{number:03}.avi", of.rsplit_once("_g").expect("a group").0);
            write_changed(&clips.path("media").join(of), &clips.path("media").join(&name), change);
            clips.names.push(name);
        }
        clips.names.sort();
        clips.ingest("decode");
        let found = num_pairs(&clips.annotations(|name| name.contains("_g98_"), json!({"group_leakage": "off"})));
        print(&format!("{what}: {found} of {}", originals.len()));
    }
    assert_eq!(false_pairs, 0);
}

#[expect(clippy::print_stderr, reason = "people read the figures")]
fn print(text: &str) {
    eprintln!("{text}");
}
