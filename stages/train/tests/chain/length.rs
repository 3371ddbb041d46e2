//! Where training ends, and when the network is validated.

use super::*;

fn of_steps(max_iters: u32) -> TrainParams {
    let train_cfg = TrainCfg { max_iters: Some(max_iters), val_interval: 1, ..TrainCfg::default() };
    TrainParams { train_cfg, ..params(1, 1) }
}

/// An epoch has two steps of two clips.
#[test]
fn steps_end_training_within_an_epoch() {
    let space = Space::new();
    // Only the epoch that is cut differs.
    let (five, six, seven) = (space.plan(&of_steps(5)), space.plan(&of_steps(6)), space.plan(&of_steps(7)));
    assert_eq!([&five, &six, &seven].map(Vec::len), [3, 3, 4]);
    assert_eq!(same(&five, &six), [0, 1]);
    assert_eq!(same(&six, &seven), [0, 1, 2]);
    assert_eq!(same(&six, &space.plan(&params(3, 1))), [0, 1, 2]);
    let made = space.train(&of_steps(5), &[], 3, "parts");
    let ran = space.assemble(&of_steps(5), &made, "out");
    assert_eq!(ran.lines()[1], "the last epoch has 1 of 2 steps, because of `max_iters`");
    // More steps continue from the epoch before.
    let kept = ran.result.expect("assembled").kept_states.expect("names");
    assert!(kept.contains(&"0001".to_owned()) && kept.contains(&"0002".to_owned()), "{kept:?}");
    let log = space.log("out");
    assert_eq!(log.iter().map(|row| row.num_clips).collect::<Vec<_>>(), [4, 4, 2]);
    assert!(log.iter().all(|row| row.validation.is_some()));
    let error = space.bench(&of_steps(17)).plan().expect_err("too many");
    assert_eq!(
        error.chain(),
        ["`train_cfg.max_iters` is 17, but the 8 epochs of samples that were drawn have 16 steps"]
    );
}

#[test]
fn validations_follow_dynamic_intervals() {
    let space = Space::new();
    let mut dynamic = params(6, 4);
    dynamic.train_cfg.dynamic_intervals = vec![[5, 1]];
    let is_validated = |part: &PlannedPart| part.fields.iter().any(|(path, _)| path[0] == "test");
    let validated: Vec<bool> = space.plan(&dynamic).iter().map(is_validated).collect();
    assert_eq!(validated, [false, false, false, true, true, true]);
    dynamic.train_cfg.val_begin = 5;
    let validated: Vec<bool> = space.plan(&dynamic).iter().map(is_validated).collect();
    assert_eq!(validated, [false, false, false, false, true, true]);
}
