//! [`compare`]: the ONNX file against libtorch on test views.

use crate::OptimizeError;
use pipe_clips::{Batch, Loader, TestSamples, TestSamplesError};
use pipe_graph::onnx;
use pipe_infer::Session;
use pipe_learn::{LearnError, TrainedModel, predict_clips};
use pipe_schemas::stages::optimize::Comparison;
use pipe_stage::{Context, StageError};

/// Views per forward pass.
const BATCH_SIZE: usize = 4;

/// Reads the test views, and checks that the model takes their clips.
pub(crate) fn test_samples(context: &Context, model: &TrainedModel) -> Result<TestSamples, StageError> {
    let with_help = StageError::explained(TestSamplesError::help);
    let samples = TestSamples::read(context.input("samples")?).map_err(&with_help)?;
    samples.check_clips(model.takes("the model")).map_err(with_help)?;
    Ok(samples)
}

/// Runs both on at most `count` test views, spread evenly over all.
pub(crate) fn compare(
    context: &Context,
    samples: &TestSamples,
    count: usize,
    model: &TrainedModel,
    session: &mut dyn Session,
) -> Result<Comparison, StageError> {
    let rows = samples.spread(count);
    let count = rows.len();
    let mut comparison = Comparison {
        num_views: count as u64,
        num_test_views: samples.rows.len() as u64,
        max_abs_diff: 0.0,
        max_abs_logit: 0.0,
        top1_agreement: 0.0,
    };
    let mut num_agreeing = 0;
    let loader = Loader::open(context.input("frames")?)?;
    for batch in loader.clips(rows, model.clip_size(), BATCH_SIZE, context.threads())? {
        let batch = batch?;
        let found = run_onnx(model, session, &batch)?;
        let (normalisation, size) = (model.normalisation(), model.clip_size());
        let batches = std::iter::once(Ok(batch));
        let expected = predict_clips::<LearnError>(&model.network, &normalisation, size, batches, |_| Ok(()))?;
        for (expected, found) in expected.iter().zip(&found) {
            num_agreeing += u64::from(argmax(expected) == argmax(found));
            for (a, b) in expected.iter().zip(found) {
                let diff = f64::from((a - b).abs());
                comparison.max_abs_diff = comparison.max_abs_diff.max(if diff.is_nan() { f64::INFINITY } else { diff });
                comparison.max_abs_logit = comparison.max_abs_logit.max(f64::from(a.abs()));
            }
        }
        context.check_cancelled()?;
    }
    comparison.top1_agreement = num_agreeing as f64 / count as f64;
    Ok(comparison)
}

/// Returns the logits of each clip from ONNX Runtime.
fn run_onnx(model: &TrainedModel, session: &mut dyn Session, batch: &Batch) -> Result<Vec<Vec<f32>>, StageError> {
    let (size, num_clips, num_classes) = (model.clip_size(), batch.num_clips, model.card.classes.len());
    let shape = [num_clips, 3, size.frames, size.height, size.width];
    let (found, logits) = session.run(onnx::INPUT, shape, model.normalisation().values(batch, size))?;
    if found != [num_clips as i64, num_classes as i64] {
        return Err(OptimizeError::Shape { num_clips, num_classes, found }.into());
    }
    Ok(logits.chunks_exact(num_classes).map(<[f32]>::to_vec).collect())
}

fn argmax(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).reduce(|best, at| if logits[at] > logits[best] { at } else { best })
}
