//! Clips that are left out, and batches that are too small.

use super::*;

#[test]
fn clips_that_are_left_out_are_warned_about() {
    let space = Space::new();
    let odd = TrainParams { train_dataloader: DataloaderParams { batch_size: 3 }, ..params(1, 1) };
    SamplesFolder::open(space.path("samples")).write_test(&[]).expect("written");
    let ran = space.bench(&odd).run(&space.path("out"));
    assert_eq!(
        ran.warnings,
        [
            "1 clip is left out, because it is the last of its epoch and would be a batch of its own: r/b in epoch 1",
            "`val_interval` has no effect: there are no test samples",
        ]
    );
}

/// Four clips are drawn for each epoch.
#[test]
fn every_drawn_clip_is_shown_or_counted() {
    let space = Space::new();
    for (batch_size, num_left_out) in [(1, 0), (2, 0), (3, 1), (4, 0), (5, 0)] {
        let params = TrainParams { train_dataloader: DataloaderParams { batch_size }, ..params(7, 0) };
        let output = format!("out-{batch_size}");
        let made = space.train(&params, &[], 7, &format!("parts-{batch_size}"));
        let ran = space.assemble(&params, &made, &output);
        let samples = SamplesFolder::open(space.path("samples"));
        for row in space.log(&output) {
            let drawn = samples.num_clips(row.epoch).expect("drawn") as u32;
            assert_eq!((row.num_clips + row.num_left_out, row.num_left_out), (drawn, num_left_out), "{batch_size}");
        }
        let line = "7 of 28 clips left out, to avoid batches of one clip".to_owned();
        assert_eq!(ran.lines().contains(&line), num_left_out > 0, "{ran:?}");
        let names: Vec<String> = (1..=5).map(|epoch| format!("r/b in epoch {epoch}")).collect();
        let warning = format!(
            "7 clips are left out, because each is the last of its epoch and would be a batch of its own: {}, and 2 more",
            names.join(", ")
        );
        assert_eq!(ran.warnings, if num_left_out > 0 { vec![warning] } else { vec![] });
    }
}

#[test]
fn batch_normalisation_of_one_value_is_refused_before_training() {
    let space = Space::new();
    let change = |frames| {
        let samples = SamplesFolder::open(space.path("samples"));
        let preprocessing = samples.preprocessing().expect("read");
        samples.write_preprocessing(&Preprocessing { train_frames: frames, test_frames: frames, ..preprocessing })
    };
    let with = |batch_size| {
        let mut params = TrainParams { train_dataloader: DataloaderParams { batch_size }, ..params(1, 0) };
        params.model.backbone = ResNet { depth: ResNetDepth::D18, base_channels: 8, ..ResNet::default() }.into();
        params
    };
    let (one, two) = (with(1), with(2));
    space.plan(&one);
    change(1).expect("written");
    let error = space.bench(&one).plan().expect_err("one value per channel");
    let chain = error.chain();
    assert!(chain[0].contains("`train_dataloader.batch_size` is 1"), "{chain:?}");
    assert!(error.help().is_some_and(|help| help.contains("batch_size` to 2 or more")), "{:?}", error.help());
    space.plan(&two);
    let rows = [sample(0, 0, 0)];
    SamplesFolder::open(space.path("samples")).write_epoch(0, &rows).expect("written");
    let error = space.bench(&two).plan().expect_err("one clip");
    assert!(error.chain()[0].contains("epoch 1 has a single clip"), "{:?}", error.chain());
    assert!(error.help().is_some_and(|help| help.contains("train on more videos")), "{:?}", error.help());
}
