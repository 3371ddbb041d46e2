//! What an average of the weights changes: the model and the validations, but not training.

use super::*;

#[test]
fn the_model_and_validations_have_the_average() {
    let space = Space::new();
    let plain = params(2, 1);
    let average = TrainParams { ema: Some(Ema { momentum: Some(0.25), ..Ema::default() }), ..plain.clone() };
    let [without, with] = [(&plain, "plain"), (&average, "average")].map(|(params, folder)| {
        let made = space.train(params, &[], 2, folder);
        space.assemble(params, &made, &format!("{folder}-out"));
        made
    });
    let tensors = |path: &Path| Checkpoint::open(path).expect("a checkpoint").tensors;
    let state = |part: &MadePart| tensors(&part.state("state.safetensors").expect("kept"));
    let (plain_state, average_state) = (state(&without[1]), state(&with[1]));
    // Averaging does not change training.
    assert!(plain_state.iter().all(|(name, tensor)| average_state.get(name) == Some(tensor)));
    let model = tensors(&ModelFolder::open(space.path("average-out/model")).checkpoint_path());
    let of_state = |name: &str| {
        let averaged = average_state.get(&format!("ema.average.{name}"));
        averaged.or_else(|| average_state.get(&format!("network.{name}")))
    };
    assert!(model.iter().all(|(name, tensor)| of_state(name) == Some(tensor)));
    assert_ne!(model["fc.weight"], plain_state["network.fc.weight"]);
    let losses = |output: &str| space.log(output).iter().map(|row| row.loss).collect::<Vec<_>>();
    assert_eq!(losses("plain-out"), losses("average-out"));
    let validations = |output: &str| space.log(output).into_iter().map(|row| row.validation).collect::<Vec<_>>();
    assert_ne!(validations("plain-out"), validations("average-out"));
}
