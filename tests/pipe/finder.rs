//! `lr_finder`, and training with the rate that it suggests.

use crate::space::{RunOutput, Space};

const OPTIMISER: &str = "{ type: SGD, lr: auto, momentum: 0.9 }";

fn run(space: &Space, settings: &[&str]) -> RunOutput {
    let finder = format!(
        "stages.lr={{ uses: lr_finder, inputs: {{ frames: frames, samples: samples }}, with: {{ model: {{ backbone: {{ type: ResNetTSM, \
         depth: 18, base_channels: 16, shift_div: 4 }} }}, optim_wrapper: {{ optimizer: {OPTIMISER} }}, train_dataloader: {{ batch_size: 4 }}, \
         start_lr: 1.0e-5, end_lr: 10, num_iters: 40 }} }}"
    );
    let optimiser = format!("stages.model.with.optim_wrapper.optimizer=!replace {OPTIMISER}");
    space.run_tiny(&[&[finder.as_str(), &optimiser], settings].concat())
}

#[test]
fn training_takes_the_rate_that_was_found() {
    let space = Space::new();
    let connected = "stages.model.inputs.lr=lr";
    let first = run(&space, &[connected]).ok();
    assert_eq!(first.stage("model")["outcome"], "ran");
    let found = space.json("smoke", "lr", "lr.json");
    let rate = found["lr"].as_f64().unwrap();
    assert!(rate > 1e-5 && rate < 10.0, "{found}");
    assert_eq!(found["rule"], "steepest_descent");

    // The rate is in the key of an epoch, not where it came from.
    let optimiser =
        format!("stages.model.with.optim_wrapper.optimizer=!replace {{ type: SGD, lr: {rate}, momentum: 0.9 }}");
    let number = run(&space, &[&optimiser]).ok();
    let parts = &number.stage("model")["parts"];
    assert_eq!((parts["hits"].as_u64(), parts["ran"].as_u64()), (Some(2), Some(0)));
    assert_eq!(number.digests()["model"], first.digests()["model"]);

    let alone = run(&space, &[]);
    assert_eq!(alone.code, Some(2), "{}", alone.stderr);
    let text = alone.events.iter().map(ToString::to_string).collect::<String>() + &alone.stderr;
    assert!(text.contains("the stage `model` has neither `optim_wrapper.optimizer.lr` nor the input `lr`"), "{text}");
}
