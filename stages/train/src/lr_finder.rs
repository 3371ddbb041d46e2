//! [`LrFinder`]: the stage `lr_finder`, which trains a copy of the network with a growing learning rate.

mod curve;
mod suggest;

use crate::TrainError;
use crate::batch_norm::check_batch_norm;
use crate::device::device;
use crate::error::Stopped;
use crate::plan::{check_loss, check_precision};
use crate::processes::compute_threads;
use crate::rates::groups;
use crate::samples::Samples;
use crate::start::{check_digest, first_network, load_from};
use curve::Curve;
use pipe_clips::Loader;
use pipe_learn::{Epoch, Freezing, LearnError, Learner, StepResult, use_threads};
use pipe_schemas::stages::lr_finder::{LrFinderParams, SuggestedLr, SuggestionRule};
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::Labelling;
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::{write_json, write_rows};

/// The stage `lr_finder`. It is in this crate because it starts and trains the network as `train` does.
pub struct LrFinder;

impl Stage for LrFinder {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::lr_finder::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: LrFinderParams = context.params()?;
        let training = params.training();
        use_threads(compute_threads(&training, context.threads()));
        let samples = Samples::read(context.input("samples")?, &training)?;
        check_loss(&training, &samples)?;
        check_precision(context, &training)?;
        if let Some(weights) = load_from(context, &training)? {
            check_digest(&weights, &training)?;
        }
        let curve = measure(context, &params, &training, &samples)?;
        let rows = curve.rows();
        write_rows(&context.output("curve.parquet")?, &rows)?;
        let suggestion = suggest::suggest(&rows);
        fs_err::write(context.output("curve.png")?, curve::picture(&rows, suggestion.as_ref())?)?;
        let Some(suggestion) = suggestion else {
            let error = TrainError::NoDescent { num_steps: rows.len() };
            return Err(StageError::from(error).with_help(
                "raise `num_iters`, lower `start_lr` or raise `end_lr`; if the loss is the same at all rates, check the labels and \
                 `model.data_preprocessor`",
            ));
        };
        let suggested = SuggestedLr {
            lr: suggestion.lr,
            rule: SuggestionRule::SteepestDescent,
            lr_of_lowest_loss: suggestion.lr_of_lowest_loss,
            clips_per_step: training.clips_per_step(),
            num_steps: rows.len() as u32,
            num_iters: params.num_iters,
        };
        write_json(&context.output("lr.json")?, &suggested)?;
        Ok(Summary::lines(lines(&suggested)).with_figures([("lr", suggested.lr)]))
    }
}

/// Why the experiment ended before its last step.
enum Ended {
    /// The loss is much higher than before, or not finite.
    Diverged,
    Failed(StageError),
}

impl From<LearnError> for Ended {
    fn from(error: LearnError) -> Self {
        match error {
            // Before the first step, no rate has had an effect.
            LearnError::Diverged { epoch, step, .. } if epoch > 0 || step > 0 => Self::Diverged,
            error => Self::Failed(Stopped::Learn(error).into_stage_error()),
        }
    }
}

/// Trains with the clips of the first epoch, again and again, until the rates or the patience are at an end.
fn measure(
    context: &Context,
    params: &LrFinderParams,
    training: &TrainParams,
    samples: &Samples,
) -> Result<Curve, StageError> {
    let (network, _) = first_network(context, training, samples)?;
    let network = network.to_device(device(context, training, 0)?);
    let freezing = Freezing::new(&training.model.backbone, network.graph(), training.freeze.as_ref());
    check_batch_norm(network.graph(), &freezing.map_err(LearnError::from)?, samples)?;
    // The rates of single tensors are multiples of those of the experiment.
    let mut training = training.clone();
    training.optim_wrapper.optimizer.set_lr(1.0);
    let multiples = groups(&training, network.graph())?;
    let mut learner = Learner::new(network, &training, samples.preprocessing.labelling)?;
    let loader = Loader::open(context.input("frames")?)?;
    let clip_size = samples.clip_size(samples.preprocessing.train_frames);
    let (rates, rows) = (params.rates(), samples.epoch(0)?);
    let mut curve = Curve::new(params.stop_factor);
    for index in 0.. {
        let done = curve.num_steps();
        if done == rates.len() {
            break;
        }
        let mut batches = loader.clips(rows.clone(), clip_size, samples.batch_size, context.threads())?;
        if samples.preprocessing.labelling == Labelling::MultiLabel {
            batches = batches.with_targets(samples.classes.len())?;
        }
        let after_step = |result: StepResult| {
            curve.add(result.lr, result.loss);
            let step = curve.num_steps() as u64;
            context.measured(step, [("lr", result.lr), ("loss", result.loss)]);
            context.progress(step, rates.len() as u64, "steps");
            context.check_cancelled().map_err(Ended::Failed)?;
            if curve.diverges() { Err(Ended::Diverged) } else { Ok(()) }
        };
        let num_steps = samples.num_batches(0).min(rates.len() - done);
        let times = |multiple: &f64| rates[done..].iter().map(|rate| rate * multiple).collect();
        let learning_rates: Vec<Vec<f64>> = multiples.initial_rates().iter().map(times).collect();
        let epoch = Epoch {
            index,
            learning_rates: &learning_rates,
            clip_size,
            num_steps,
            steps_before: done as u64,
            pieces: &[],
        };
        match learner.train_epoch(epoch, batches.take(num_steps), after_step) {
            Ok(_) => {}
            Err(Ended::Diverged) => break,
            Err(Ended::Failed(error)) => return Err(error),
        }
    }
    Ok(curve)
}

fn lines(suggested: &SuggestedLr) -> Vec<String> {
    let SuggestedLr {
        lr,
        rule: SuggestionRule::SteepestDescent,
        lr_of_lowest_loss,
        clips_per_step,
        num_steps,
        num_iters,
    } = suggested;
    let mut lines = vec![format!(
        "learning rate {lr} for {clips_per_step} clips per step, where the loss falls fastest; it is lowest at {lr_of_lowest_loss:.1e}"
    )];
    if num_steps < num_iters {
        lines.push(format!("ended after {num_steps} of {num_iters} steps, because the loss rose"));
    }
    lines
}
