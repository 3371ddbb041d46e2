//! What a training shows of its steps, and of a loss that is not finite.

use super::*;

#[test]
fn tensorboard_shows_steps_validations_and_pictures() {
    let space = Space::new();
    let params = params(3, 2);
    space.assemble(&params, &space.train(&params, &[], 3, "parts"), "out");
    let script = "import sys\n\
                  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
                  events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})\n\
                  events.Reload()\n\
                  steps = lambda tag: [event.step for event in events.Scalars(tag)]\n\
                  print(steps('loss'), steps('lr'), steps('acc/top1'), events.Tags()['images'])";
    let Some(found) = pipe_testkit::python("tensorboard", script, &space.path("out/tensorboard")) else { return };
    let steps = "[1, 2, 3, 4, 5, 6]";
    assert!(found.starts_with(&format!("{steps} {steps} [4, 6] ['clips'")), "{found}");
}

#[test]
fn a_batch_whose_loss_is_not_finite_is_named_and_shown() {
    let space = Space::new();
    let mut params = params(3, 0);
    params.param_scheduler.clear();
    params.optim_wrapper.optimizer = Optimizer::SGD(Sgd { lr: 1e30.into(), ..Sgd::default() });
    let parts = (0..3).map(|epoch| part_in(&space.path("parts"), &format!("{epoch:04}"))).collect();
    let error = space.bench(&params).make(MakeParts { earlier: Vec::new(), parts }).result.expect_err("it diverges");
    let text = error.chain().join(": ");
    let (_, picture) = text.rsplit_once(" shown in ").expect("a picture");
    assert!(text.contains("with the clips of l/") && text.contains(", r/"), "{text}");
    assert!(fs_err::read(picture).expect("a file").starts_with(b"\x89PNG"), "{text}");
    assert!(error.help().is_some_and(|help| help.contains("lower `optim_wrapper.optimizer.lr`")), "{:?}", error.help());
}
