//! The main job on real input: the real UCF101 clips and lists that lie beside a developer's checkout.

use crate::space::Space;
use pipe_testkit::shared;
use std::fs;
use std::path::PathBuf;

/// Lays the clips and lists out as the data set is distributed. `None`, said aloud, where they are absent.
fn layout(space: &Space) -> Option<PathBuf> {
    let (clips, lists) = (shared("data/clips/ucf101")?, shared("data/annotations/ucf101")?);
    let weights = shared("data/weights/mobilenet_v2-b0353104.pth")?;
    fs::create_dir(space.path("ucf")).unwrap();
    std::os::unix::fs::symlink(clips, space.path("ucf/videos")).unwrap();
    std::os::unix::fs::symlink(lists, space.path("ucf/ucfTrainTestlist")).unwrap();
    Some(weights)
}

#[test]
fn real_clips_with_real_weights_go_all_the_way() {
    let space = Space::new();
    let Some(weights) = layout(&space) else { return };
    let weights = format!("vars.weights={}", weights.display());
    let settings = ["vars.data=ucf", weights.as_str(), "vars.epochs=1", "stages.samples.with.test.sampler.num_clips=3"];

    // Nearly all listed clips are absent: an error unless the user says otherwise, and always with counts.
    let strict = space.run("ucf101_mobilenet_v2", &settings);
    assert_eq!(strict.code, Some(1));
    let failure = strict.stage("labels")["failure"].to_string();
    assert!(failure.contains("13,256 of 13,320"), "{failure}");

    let lenient: Vec<&str> = settings.iter().copied().chain(["stages.labels.with.missing=warn"]).collect();
    let told = space.run("ucf101_mobilenet_v2", &lenient).ok();
    let labels = &told.stage("labels");
    assert!(labels["summary"].to_string().contains("42 of 9,537"), "{labels}");
    assert!(labels["summary"].to_string().contains("22 of 3,783"), "{labels}");
    assert!(labels["warnings"].to_string().contains("13,256 of 13,320"), "{labels}");
    let model = told.stage("model")["summary"].to_string();
    assert!(model.contains("260 tensors matched") && model.contains("classifier.1.weight"), "{model}");
    let metrics = space.json("ucf101_mobilenet_v2", "eval", "metrics.json");
    assert_eq!((metrics["num_videos"].as_u64(), metrics["num_missing"].as_u64()), (Some(22), Some(3761)), "{metrics}");
    assert_eq!(metrics["num_classes"], 101);

    let again = space.run("ucf101_mobilenet_v2", &lenient).ok();
    assert_eq!(again.run_finished()["ran"], 0);
}
