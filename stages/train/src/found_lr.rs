//! [`params()`]: the parameters of training, with the rate of `lr_finder` in place of `lr: auto`.

use crate::TrainError;
use pipe_schemas::stages::lr_finder::SuggestedLr;
use pipe_schemas::stages::train::{AutoScaleLr, TrainParams};
use pipe_stage::{Context, StageError};
use pipe_tables::read_json;

/// Reads the parameters. `lr: auto` becomes the rate of the input `lr`, and the number of clips per step that it was found for becomes
/// `auto_scale_lr.base_batch_size`.
///
/// # Errors
/// [`TrainError::NoRate`] and [`TrainError::TwoRates`] if not exactly one of `lr` and the input has a rate.
pub(crate) fn params(context: &Context) -> Result<TrainParams, StageError> {
    let mut params: TrainParams = context.params()?;
    match (params.optim_wrapper.optimizer.lr(), context.optional_input("lr")) {
        (Some(_), None) => {}
        (None, Some(path)) => {
            let SuggestedLr { lr, clips_per_step, .. } = read_json(path)?;
            if !(lr.is_finite() && lr > 0.0) {
                return Err(TrainError::FoundRate { path: path.into(), lr }.into());
            }
            params.optim_wrapper.optimizer.set_lr(lr);
            let enable = params.auto_scale_lr.as_ref().is_some_and(|scale| scale.enable);
            params.auto_scale_lr = Some(AutoScaleLr { enable, base_batch_size: clips_per_step });
        }
        (None, None) => {
            let help = "connect it to a stage `lr_finder`, for example `inputs: { lr: STAGE }`, or set a number";
            return Err(StageError::from(TrainError::NoRate).with_help(help));
        }
        (Some(lr), Some(_)) => {
            let help = "set `lr: auto`, or remove the input";
            return Err(StageError::from(TrainError::TwoRates { lr }).with_help(help));
        }
    }
    Ok(params)
}
