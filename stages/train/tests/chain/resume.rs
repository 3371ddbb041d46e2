//! A chain that stops anywhere and goes on: the bits of one that did not stop.

use super::*;

const OUTPUTS: [&str; 6] = [
    "model/model.json",
    "model/checkpoint.safetensors",
    "model/weights.json",
    "training_log.parquet",
    "training_steps.parquet",
    "tensorboard/events.out.tfevents.0",
];

/// Parameters with a state of their own each.
fn resumable() -> Vec<(&'static str, TrainParams)> {
    let adamw =
        Optimizer::AdamW(AdamW { lr: 0.01.into(), betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: true });
    let with = |change: &dyn Fn(&mut TrainParams)| {
        let mut params = params(3, 1);
        change(&mut params);
        params
    };
    vec![
        ("sgd", params(3, 1)),
        ("adamw", with(&|params| params.optim_wrapper.optimizer = adamw.clone())),
        ("average", with(&|params| params.ema = Some(Ema { momentum: Some(0.25), ..Ema::default() }))),
        (
            "everything",
            with(&|params| {
                params.model.backbone = frozen(1);
                params.ema =
                    Some(Ema { ema_type: EmaType::StochasticWeightAverage, begin_epoch: Some(2), ..Ema::default() });
                params.freeze = Some(Freeze { patterns: vec!["layer3.0".into()], ..Freeze::default() });
                params.optim_wrapper.accumulative_counts = 2;
                params.optim_wrapper.clip_grad = Some(ClipGrad::max_norm(1.0));
                params.optim_wrapper.paramwise_cfg = Some(half_rate_of_the_backbone());
            }),
        ),
    ]
}

#[test]
fn an_interrupted_chain_gives_the_bits_of_an_uninterrupted_one() {
    for (name, params) in resumable() {
        let space = Space::new();
        let whole = space.train(&params, &[], 3, "whole");
        let mut cut = space.train(&params, &[], 1, "cut");
        cut.extend(space.train(&params, &cut, 3, "cut"));
        for (whole, cut) in whole.iter().zip(&cut) {
            assert!(state(whole) == state(cut), "{name}, epoch {}", whole.name);
            let log = |part: &MadePart| fs_err::read(part.note("log.parquet")).expect("a log");
            assert_eq!(log(whole), log(cut));
        }
        assert_ne!(state(&whole[1]), state(&whole[2]));
        let first = space.assemble(&params, &whole, "one");
        let second = space.assemble(&params, &cut, "two");
        assert_eq!(first.lines(), second.lines());
        for file in OUTPUTS {
            let read = |output: &str| fs_err::read(space.path(output).join(file)).expect("read");
            assert!(read("one") == read("two"), "{name}: {file}");
        }
        let log = space.log("one");
        assert_eq!(log.iter().map(|row| row.epoch).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(log.iter().all(|row| row.validation.is_some()));
        let steps: Vec<TrainingStepRow> = read_rows(&space.path("one/training_steps.parquet")).expect("steps");
        // Two steps in each epoch; the chain is longer than a request.
        assert_eq!(
            steps.iter().map(|row| (row.step, row.epoch)).collect::<Vec<_>>(),
            [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2)]
        );
        for (epoch, row) in log.iter().enumerate() {
            let mean = f64::midpoint(steps[2 * epoch].loss, steps[2 * epoch + 1].loss);
            assert!((row.loss - mean).abs() < 1e-12, "{row:?}");
        }
    }
}

#[test]
fn the_last_epoch_is_evaluated_whatever_its_number() {
    let space = Space::new();
    let made = space.train(&params(3, 1), &[], 3, "every");
    space.assemble(&params(3, 1), &made, "every-out");
    let made = space.train(&params(3, 2), &[], 3, "second");
    space.assemble(&params(3, 2), &made, "second-out");
    let (every, second) = (space.log("every-out"), space.log("second-out"));
    assert_eq!(every[1..], second[1..], "in a link or after the last");
    assert_eq!(second[0].validation, None);
    let ran = space.assemble(&params(3, 0), &space.train(&params(3, 0), &[], 3, "never"), "never-out");
    assert!(space.log("never-out").iter().all(|row| row.validation.is_none()));
    assert!(ran.lines()[0].starts_with("3 epochs, loss "), "{ran:?}");
}

#[test]
fn epochs_out_of_order_are_refused() {
    let space = Space::new();
    let check = |after: Option<&str>, names: &[&str], expect: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let earlier = after.map(|name| MadePart { name: name.into(), folder: folder.path().into(), state: None });
        let parts = names.iter().map(|name| part_in(folder.path(), name)).collect();
        let error = space
            .bench(&params(3, 0))
            .make(MakeParts { earlier: earlier.into_iter().collect(), parts })
            .result
            .expect_err("out of order");
        assert_eq!(error.chain(), [format!("epoch `{expect}` does not follow the epoch before it")]);
    };
    check(None, &["0001"], "0001");
    check(None, &["0000", "0002"], "0002");
    check(Some("0002"), &["0003"], "0003");
    check(Some("first"), &["0000"], "0000");
}
