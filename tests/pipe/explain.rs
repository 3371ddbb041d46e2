//! `explain`: heat maps, their pictures and videos, and mistakes in its parameters.

use crate::space::{RunOutput, Space};
use pipe_schemas::tables::HeatMapRow;
use pipe_tables::read_rows;
use pipe_testkit::python;
use std::fs;
use std::path::Path;

/// Runs the tiny smoke pipeline with a stage `why` with these parameters.
fn run(space: &Space, params: &str) -> RunOutput {
    space.run_tiny(&[&stage(params)])
}

fn stage(params: &str) -> String {
    let inputs = "inputs: { model: model, frames: frames, samples: samples }";
    format!("stages.why={{ uses: explain, {inputs}, with: {{ {params} }} }}")
}

fn failure(run: &RunOutput) -> String {
    run.events.iter().map(ToString::to_string).collect::<String>() + &run.stderr
}

#[test]
fn each_video_has_a_heat_map_a_row_of_the_contact_sheet_and_a_video() {
    let space = Space::new();
    let first = run(&space, "num_videos: 3, target_class: true, random_regions: 2").ok();
    let folder = space.path(".pipe/out/smoke/why");
    let maps: Vec<HeatMapRow> = read_rows(&folder.join("heat_maps.parquet")).unwrap();
    let faithfulness = space.json("smoke", "why", "faithfulness.json");
    let videos = faithfulness["videos"].as_array().unwrap();
    assert_eq!((videos.len(), maps.len()), (3, 3 * 4), "{faithfulness}");
    assert_eq!((&faithfulness["method"], &faithfulness["layer"]), (&"grad_cam".into(), &"layer4.1.relu".into()));
    for (video, maps) in videos.iter().zip(maps.chunks(4)) {
        assert_eq!((video["video_id"].as_str(), &video["target"]), (Some(maps[0].video_id.as_str()), &video["label"]));
        let values: Vec<f32> = maps.iter().flat_map(|map| map.values.clone()).collect();
        assert_eq!(values.len(), 4 * 48 * 64);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        let is_marked = values.iter().any(|value| *value > 0.0);
        assert_eq!(video["has_marks"].as_bool(), Some(is_marked));
        assert_eq!(video["without_random"].as_array().unwrap().len(), if is_marked { 2 } else { 0 });
        check_video(&folder.join("videos").join(format!("{}.mp4", maps[0].video_id)));
    }
    assert!(fs::read(folder.join("contact_sheet.png")).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(run(&space, "num_videos: 3, target_class: true, random_regions: 2").ok().digests(), first.digests());
}

/// Counts the frames of a video with another library than the one that wrote it, if Python has it.
fn check_video(path: &Path) {
    assert_eq!(&fs::read(path).unwrap()[4..8], b"ftyp", "{}", path.display());
    let script = "import av, sys\nv = av.open(sys.argv[1])\nprint(sum(1 for _ in v.decode(video=0)), v.streams[0].width, v.streams[0].height)";
    if let Some(found) = python("av", script, path) {
        assert_eq!(found.trim(), "4 64 48");
    }
}

#[test]
fn mistakes_in_parameters_say_what_is_possible() {
    let space = Space::new();
    for (params, expected) in [
        ("target_layer: layer4.1.relu3", "has no layer `layer4.1.relu3`; similar layers are `layer4.1.relu`"),
        ("target_layer: layer4.1.relu3", "such as `layer4.1.relu`; if it is left out, it is `layer4.1.relu`"),
        ("target_layer: fc", "has no feature map in layer `fc`"),
        ("method: attention_rollout", "no attention between tokens, so attention rollout is not possible"),
        ("method: attention_rollout", "it can be explained with grad_cam, grad_cam_plus_plus, grad_cam_mmaction2"),
        ("target_class: MoveLeftt", "the model has no class `MoveLeftt`; similar names are `MoveLeft`"),
        ("target_class: 7", "class 7 is out of range: the model has 2 classes, counted from 0"),
        ("videos: [v_MoveLeft_g01_c99]", "no test sample is from a video `v_MoveLeft_g01_c99`"),
        ("method: smooth_grad", "smooth_grad"),
        ("region: 1.5", "region"),
        ("target_class: -1", "`target_class`: -1 is below the minimum 0"),
        ("method: attention_rollout, target_layer: layer1", "attention rollout uses the attentions of all layers"),
    ] {
        let found = run(&space, params);
        assert!(found.code == Some(1) || found.code == Some(2), "{params}: {:?}", found.code);
        let text = failure(&found);
        assert!(text.contains(expected), "{params}: {text}");
    }
}

/// The share of the marked pixels that lie on the moving shape, and the share of all pixels that do.
struct Coverage {
    marked: f64,
    chance: f64,
}

impl Coverage {
    /// The shape is much darker or lighter than the background, and smaller.
    fn of(maps: &[HeatMapRow], frames: &[Vec<u8>]) -> Self {
        let (mut on_shape, mut marked, mut shape, mut pixels) = (0.0, 0.0, 0.0, 0.0);
        let mut order: Vec<f32> = maps.iter().flat_map(|map| map.values.clone()).collect();
        order.sort_by(|one, two| two.total_cmp(one));
        let limit = order[order.len() / 20];
        for (map, frame) in maps.iter().zip(frames) {
            let is_shape = shape_of(frame);
            for (value, is_shape) in map.values.iter().zip(is_shape) {
                let (is_marked, is_shape) = (f64::from(*value > limit), f64::from(is_shape));
                on_shape += is_marked * is_shape;
                marked += is_marked;
                shape += is_shape;
                pixels += 1.0;
            }
        }
        Self { marked: on_shape / f64::max(marked, 1.0), chance: shape / pixels }
    }
}

/// Returns which pixels of a generated frame belong to the shape: those on the rarer side of medium brightness.
fn shape_of(frame: &[u8]) -> Vec<bool> {
    let is_light = |pixel: &[u8]| pixel.iter().map(|level| u32::from(*level)).sum::<u32>() > 3 * 122;
    let light: Vec<bool> = frame.chunks_exact(3).map(is_light).collect();
    let shape_is_light = light.iter().filter(|is_light| **is_light).count() * 2 < light.len();
    light.into_iter().map(|is_light| is_light == shape_is_light).collect()
}

/// Returns the coverage over all explained clips of a stage.
pub(crate) fn coverage(space: &Space, pipeline: &str, stage: &str) -> (f64, f64) {
    let maps: Vec<HeatMapRow> =
        read_rows(&space.path(&format!(".pipe/out/{pipeline}/{stage}/heat_maps.parquet"))).unwrap();
    let frames = space.path(&format!(".pipe/out/{pipeline}/frames/frames"));
    let loader = pipe_clips::Loader::open(&frames).unwrap();
    let rows =
        pipe_tables::SamplesFolder::open(space.path(&format!(".pipe/out/{pipeline}/samples/samples"))).test().unwrap();
    let clips: Vec<&[HeatMapRow]> = maps.chunk_by(|one, two| one.video_id == two.video_id).collect();
    let (mut marked, mut chance) = (0.0, 0.0);
    for maps in &clips {
        let row = rows.iter().find(|row| row.video_id == maps[0].video_id && row.view == maps[0].view).unwrap();
        let size = pipe_clips::ClipSize { frames: maps.len(), height: 48, width: 64 };
        let batch = loader.clips(vec![row.clone()], size, 1, 1).unwrap().next().unwrap().unwrap();
        let frames: Vec<Vec<u8>> = batch.pixels.chunks_exact(3 * 48 * 64).map(<[u8]>::to_vec).collect();
        let found = Coverage::of(maps, &frames);
        marked += found.marked / clips.len() as f64;
        chance += found.chance / clips.len() as f64;
    }
    (marked, chance)
}

/// Returns the setting that adds `why` to the smoke pipeline, with a layer fine enough to tell places apart.
pub(crate) fn of_motion(name: &str, model: &str) -> String {
    format!(
        "stages.{name}={{ uses: explain, inputs: {{ model: {model}, frames: frames, samples: samples }}, with: {{ num_videos: 40, \
         target_layer: layer2.1.relu, target_class: true, region: 0.05, \
         random_regions: 4 }} }}"
    )
}
