//! [`Evaluate`]: the stage itself.

use crate::{network, report};
use pipe_infer::Libraries;
use pipe_schemas::stages::evaluate::EvaluateParams;
use pipe_stage::{Context, Stage, StageError, Summary};

/// The stage `evaluate`.
pub struct Evaluate {
    /// Where the engines of exported files are.
    pub libraries: Libraries,
}

impl Stage for Evaluate {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::evaluate::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: EvaluateParams = context.params()?;
        let logits = network::run(context, &params, &self.libraries)?;
        report::write(context, &params, &logits)
    }
}
