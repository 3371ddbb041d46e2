//! [`Explainer`]: the network on one clip: its heat map, and the probabilities of a class on changed clips.

use crate::ExplainError;
use crate::region::{marked, removed, replacement, shifted};
use pipe_clips::{Batch, Draws};
use pipe_learn::{Explanation, LearnError, Network, TrainedModel, predict_clips};
use pipe_schemas::stages::explain::ExplainParams;
use pipe_schemas::tables::Labelling;
use pipe_stage::StageError;

/// The network of a stage, ready for clips.
pub(crate) struct Explainer<'a> {
    pub(crate) model: &'a TrainedModel,
    /// The network with fewer nodes, which predicts.
    pub(crate) predictor: &'a Network,
    pub(crate) explanation: &'a Explanation,
    pub(crate) params: &'a ExplainParams,
}

/// What was measured on one clip.
#[derive(Debug)]
pub(crate) struct ExplainedClip {
    /// The heat map, `[T, H, W]`, from 0 to 1.
    pub(crate) values: Vec<f32>,
    /// Probability of the class.
    pub(crate) probability: f64,
    /// The same without the marked pixels and without each random region; `None` if the heat map is the same everywhere.
    pub(crate) without: Option<(f64, Vec<f64>)>,
}

/// Maximum number of clips per forward pass.
const BATCH_SIZE: usize = 8;

impl Explainer<'_> {
    /// Makes the heat map of a clip, removes what it marks, and removes random regions instead. `name` is that of the clip; random regions
    /// derive from it and the seed.
    pub(crate) fn explain(&self, clip: Batch, target: usize, name: &str) -> Result<ExplainedClip, StageError> {
        let size = self.model.clip_size();
        let input = self.model.normalisation().clips(&clip, size)?;
        let values = self.explanation.heat_map(&self.model.network, &input, Some(target))?.values;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(ExplainError::NotFinite { video_id: name.to_owned() }.into());
        }
        let mut clips = vec![clip.pixels.clone()];
        let has_marks = values.iter().any(|value| *value > 0.0);
        if has_marks {
            let region = marked(&values, self.params.region);
            let replacement = replacement(&clip.pixels, size, self.params.removal);
            clips.push(removed(&clip.pixels, &replacement, &region));
            for index in 0..self.params.random_regions {
                let mut draws = Draws::new(self.params.seed, &["explain", name, &index.to_string()]);
                clips.push(removed(&clip.pixels, &replacement, &shifted(&region, size, &mut draws)));
            }
        }
        let probabilities = self.probabilities(&clips, target)?;
        let [probability, without @ ..] = probabilities.as_slice() else {
            return Err(StageError::message("the network returned no logits"));
        };
        let without = without.split_first().map(|(marked, random)| (*marked, random.to_vec()));
        Ok(ExplainedClip { values, probability: *probability, without })
    }

    /// Returns the probability of a class on each clip.
    fn probabilities(&self, clips: &[Vec<u8>], target: usize) -> Result<Vec<f64>, StageError> {
        let size = self.model.clip_size();
        let batches = clips.chunks(BATCH_SIZE).map(|clips| {
            let num_clips = clips.len();
            Ok(Batch { pixels: clips.concat(), num_clips, rows: 0..num_clips, ..Batch::default() })
        });
        let logits =
            predict_clips::<LearnError>(self.predictor, &self.model.normalisation(), size, batches, |_| Ok(()))?;
        let labelling = self.model.card.preprocessing.labelling;
        Ok(logits.iter().map(|logits| probability(logits, target, labelling)).collect())
    }
}

/// Returns the probability of a class.
fn probability(logits: &[f32], class: usize, labelling: Labelling) -> f64 {
    let logit = f64::from(logits[class]);
    match labelling {
        Labelling::SingleLabel => 1.0 / logits.iter().map(|other| (f64::from(*other) - logit).exp()).sum::<f64>(),
        Labelling::MultiLabel => 1.0 / (1.0 + (-logit).exp()),
    }
}
