//! The main job with real UCF101 videos and lists, which are beside a developer's checkout.

use crate::space::Space;
use pipe_testkit::shared;
use std::fs;
use std::path::PathBuf;

/// Lays the videos and lists out as in the distributed data set. Returns `None`, and notes the skip, if the machine does not have them.
fn layout(space: &Space) -> Option<PathBuf> {
    let (clips, lists) = (shared("data/clips/ucf101")?, shared("data/annotations/ucf101")?);
    let weights = shared("data/weights/mobilenet_v2-b0353104.pth")?;
    fs::create_dir(space.path("ucf")).unwrap();
    std::os::unix::fs::symlink(clips, space.path("ucf/videos")).unwrap();
    std::os::unix::fs::symlink(lists, space.path("ucf/ucfTrainTestlist")).unwrap();
    Some(weights)
}

#[test]
fn real_videos_with_real_weights_run_the_whole_pipeline() {
    let space = Space::new();
    let Some(weights) = layout(&space) else { return };
    let weights = format!("vars.weights={}", weights.display());
    let settings = ["vars.data=ucf", weights.as_str(), "vars.epochs=1", "stages.samples.with.test.sampler.num_clips=3"];

    // Nearly all listed videos are missing: an error by default, and always reported with counts.
    let strict = space.run("ucf101_mobilenet_v2", &settings);
    assert_eq!(strict.code, Some(1));
    let failure = strict.stage("labels")["failure"].to_string();
    assert!(failure.contains("13,256 of 13,320"), "{failure}");

    let lenient: Vec<&str> = settings.iter().copied().chain(["stages.labels.with.missing=warn"]).collect();
    let run = space.run("ucf101_mobilenet_v2", &lenient).ok();
    let labels = &run.stage("labels");
    assert!(labels["summary"].to_string().contains("42 of 9,537"), "{labels}");
    assert!(labels["summary"].to_string().contains("22 of 3,783"), "{labels}");
    assert!(labels["warnings"].to_string().contains("13,256 of 13,320"), "{labels}");
    let model = run.stage("model")["summary"].to_string();
    assert!(model.contains("260 tensors matched") && model.contains("classifier.1.weight"), "{model}");
    let metrics = space.json("ucf101_mobilenet_v2", "eval", "metrics.json");
    assert_eq!((metrics["num_videos"].as_u64(), metrics["num_missing"].as_u64()), (Some(22), Some(3761)), "{metrics}");
    assert_eq!(metrics["num_classes"], 101);

    let again = space.run("ucf101_mobilenet_v2", &lenient).ok();
    assert_eq!(again.run_finished()["ran"], 0);
}
