//! [`params()`]: the parameters of training, with the rate of `lr_finder` in place of `lr: auto`.

use crate::TrainError;
use pipe_schemas::stages::lr_finder::SuggestedLr;
use pipe_schemas::stages::train::TrainParams;
use pipe_stage::{Context, StageError};
use pipe_tables::read_json;

/// Reads the parameters. `lr: auto` becomes the rate of the input `lr`, which was found for the same number of clips per step, so that
/// `auto_scale_lr` does not apply to it.
///
/// # Errors
/// [`TrainError::NoRate`] and [`TrainError::TwoRates`] if not exactly one of `lr` and the input has a rate.
pub(crate) fn params(context: &Context) -> Result<TrainParams, StageError> {
    let mut params: TrainParams = context.params()?;
    match (params.optim_wrapper.optimizer.lr(), context.optional_input("lr")) {
        (Some(_), None) => {}
        (None, Some(path)) => {
            let SuggestedLr { lr, .. } = read_json(path)?;
            if !(lr.is_finite() && lr > 0.0) {
                return Err(TrainError::FoundRate { path: path.into(), lr }.into());
            }
            params.optim_wrapper.optimizer.set_lr(lr);
            params.auto_scale_lr = None;
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
