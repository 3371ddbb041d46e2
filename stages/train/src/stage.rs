//! [`Train`]: the stage itself.

use crate::links::{self, read_log, restore};
use crate::plan;
use crate::samples::Samples;
use crate::start::first_network;
use crate::validate::{validate, validates_at_the_end};
use pipe_clips::Loader;
use pipe_learn::{Learner, TrainedModel, WeightsReport, pin_threads};
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::{ModelCard, TrainingLogRow};
use pipe_stage::protocol::{Made, MadePart, MakeParts, PlannedPart};
use pipe_stage::{Context, PartedStage, StageError, Summary};
use pipe_tables::write_rows;

/// The stage `train`.
pub struct Train;

impl PartedStage for Train {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::train::CONTRACT.kind
    }

    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError> {
        let params: TrainParams = context.params()?;
        let samples = Samples::read(context.input("samples")?, &params)?;
        plan::parts(context, &params, &samples)
    }

    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
        links::make(context, parts)
    }

    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError> {
        pin_threads();
        let params: TrainParams = context.params()?;
        let samples = Samples::read(context.input("samples")?, &params)?;
        if samples.leaves_one_out() {
            context.warn("the last clip of each epoch is left out: it would be a batch of its own");
        }
        if samples.num_test_views == 0 && params.train_cfg.val_interval > 0 {
            context.warn("`val_interval` has no effect: there are no test samples");
        }
        // What it started from is told by starting once more, which is cheap.
        let (network, report) = first_network(context, &params, &samples)?;
        let graph_digest = network.graph().digest().to_hex().to_string();
        let mut learner = Learner::new(network, &params);
        let last = parts.last().ok_or_else(|| StageError::message("there is no epoch to put together"))?;
        restore(&mut learner, last)?;
        let mut log = read_log(parts)?;
        if let Some(row) = log.last_mut().filter(|_| validates_at_the_end(&params, &samples)) {
            let loader = Loader::open(context.input("frames")?)?;
            let (top1, loss) = validate(context, &params, &samples, &loader, learner.network())?;
            (row.val_top1, row.val_loss) = (Some(top1), Some(loss));
        }

        let card = ModelCard {
            model: params.model.clone(),
            classes: samples.classes,
            preprocessing: samples.preprocessing,
            graph_digest,
            epochs: params.train_cfg.max_epochs,
        };
        TrainedModel::write(&context.output("model")?, &card, learner.network(), &report)?;
        write_rows(&context.output("training_log.parquet")?, &log)?;
        // Each epoch can be resumed from, so that a learning rate that changes later keeps the epochs before.
        let kept_states = parts.iter().map(|part| part.name.clone()).collect();
        Ok(Summary { kept_states: Some(kept_states), ..summary(&log, &report) })
    }
}

fn summary(log: &[TrainingLogRow], report: &WeightsReport) -> Summary {
    let mut lines = Vec::new();
    if let Some(last) = log.last() {
        let val = last.val_top1.map(|top1| format!(", test top1 {top1:.2}")).unwrap_or_default();
        lines.push(format!("{} epochs, loss {:.2}, top1 {:.2}{val}", log.len(), last.loss, last.top1));
    }
    if let WeightsReport::Loaded(report) = report {
        let names = if report.reinitialised.is_empty() {
            String::new()
        } else {
            format!(" ({})", report.reinitialised.join(", "))
        };
        let (matched, reinitialised, unused) = (report.num_matched, report.num_reinitialised, report.num_unused);
        lines.push(format!("{matched} tensors matched, {reinitialised} reinitialised{names}, {unused} unused"));
    }
    let figures = log.last().map(|last| {
        let validated = [("val_loss", last.val_loss), ("val_top1", last.val_top1)];
        let validated = validated.into_iter().filter_map(|(name, value)| Some((name, value?)));
        [("loss", last.loss), ("top1", last.top1)].into_iter().chain(validated)
    });
    Summary::lines(lines).with_figures(figures.into_iter().flatten())
}
