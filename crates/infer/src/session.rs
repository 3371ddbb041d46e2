//! [`Session`]: a model that is ready to run.

use crate::InferError;
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::Tensor;
use std::collections::BTreeMap;

/// A model that is ready to run.
#[derive(Debug)]
pub struct Session {
    session: ort::session::Session,
}

impl Session {
    pub(crate) fn builder(environment: &Environment, threads: usize) -> ort::Result<SessionBuilder> {
        let builder = ort::session::Session::builder(environment)?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::Level3)?;
        Ok(builder.with_intra_threads(threads)?)
    }

    pub(crate) fn new(session: ort::session::Session) -> Self {
        Self { session }
    }

    /// Runs the model on one batch and returns its first output: the shape, and the values in row-major order.
    ///
    /// # Shapes
    /// - `data`: `[N, C, T, H, W]`, row-major, for the input `input_name`
    ///
    /// # Errors
    /// [`InferError::InputLength`] if the length of `data` is not the product of `shape`, [`InferError::Run`] if the model fails.
    pub fn run(
        &mut self,
        input_name: &str,
        shape: [usize; 5],
        data: Vec<f32>,
    ) -> Result<(Vec<i64>, Vec<f32>), InferError> {
        let expected = shape.iter().try_fold(1_usize, |values, size| values.checked_mul(*size));
        if expected != Some(data.len()) {
            return Err(InferError::InputLength { shape, found: data.len() });
        }
        let failed = |source| InferError::Run { source };
        let tensor = Tensor::from_array((shape, data)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![input_name => tensor]).map_err(failed)?;
        let output = outputs.values().next().ok_or(InferError::NoOutput)?;
        let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        Ok((shape.to_vec(), values.to_vec()))
    }

    /// Returns the model's `metadata_props`.
    pub fn metadata(&self) -> Result<BTreeMap<String, String>, InferError> {
        let failed = |source| InferError::Run { source };
        let metadata = self.session.metadata().map_err(failed)?;
        let keys = metadata.custom_keys().map_err(failed)?;
        Ok(keys.into_iter().filter_map(|key| metadata.custom(&key).map(|value| (key, value))).collect())
    }
}
