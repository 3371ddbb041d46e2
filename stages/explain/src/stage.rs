//! [`Explain`]: the stage itself.

use crate::ExplainError;
use crate::clip::{ExplainedClip, Explainer};
use crate::pictures::{ContactSheet, Shown, write_video};
use crate::select::{evenly, is_of, most_confident_mistakes, named, target};
use pipe_clips::{ClipSize, Loader, TestSamples, TestSamplesError};
use pipe_learn::{
    CamMethod, ExplainMethod, Explanation, HeadFusion, Network, TrainedModel, pin_threads, predict_clips,
};
use pipe_metrics::average_views;
use pipe_schemas::stages::explain::{
    CONTRACT, ExplainParams, Faithfulness, HeadFusionParam, Method, Select, VideoFaithfulness,
};
use pipe_schemas::tables::{HeatMapRow, MissingCounts, PredictionRow, SampleRow};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::{write_json, write_rows};
use std::sync::Arc;

/// Number of views per forward pass.
const BATCH_SIZE: usize = 8;

/// The stage `explain`.
pub struct Explain;

impl Stage for Explain {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        pin_threads();
        let params: ExplainParams = context.params()?;
        let model = TrainedModel::open(context.input("model")?)?;
        let explanation = explanation(&params, &model)?;
        let samples = TestSamples::read_for(context.input("samples")?, model.takes("the model"))
            .map_err(StageError::explained(TestSamplesError::help))?;
        let predictor = model.network.for_inference()?;
        let run = Run { context, params: &params, model: &model, predictor: &predictor, explanation: &explanation };
        run.explain(samples)
    }
}

/// Prepares the method.
fn explanation(params: &ExplainParams, model: &TrainedModel) -> Result<Explanation, StageError> {
    let method = match params.method {
        Method::GradCam => ExplainMethod::Cam(CamMethod::GradCam),
        Method::GradCamPlusPlus => ExplainMethod::Cam(CamMethod::GradCamPlusPlus),
        Method::GradCamMmaction2 => ExplainMethod::Cam(CamMethod::GradCamMmaction2),
        Method::AttentionRollout => ExplainMethod::AttentionRollout(match params.head_fusion {
            HeadFusionParam::Mean => HeadFusion::Mean,
            HeadFusionParam::Max => HeadFusion::Max,
            HeadFusionParam::Min => HeadFusion::Min,
        }),
    };
    let graph = model.network.graph();
    Explanation::new(graph, method, params.target_layer.as_deref()).map_err(|source| {
        let method = params.method.name();
        let help = layer_help(&source, pipe_learn::default_layer(graph)).unwrap_or_else(|| possible_methods(model));
        StageError::from(ExplainError::Method { method, source }).with_help(help)
    })
}

/// Returns what to do about a `target_layer` that can't be shown; `None` for other errors. `default` is the layer without `target_layer`, if
/// there is one.
fn layer_help(error: &pipe_learn::ExplainError, default: Option<&str>) -> Option<String> {
    let pipe_learn::ExplainError::UnknownLayer { nearest, .. } = error else { return None };
    let example = nearest.first().map(|name| format!(", such as {name}")).unwrap_or_default();
    let otherwise = default.map(|name| format!("; if it is left out, it is `{name}`")).unwrap_or_default();
    Some(format!("set `target_layer` to a layer with a feature map{example}{otherwise}"))
}

/// Returns which methods a network can be explained with.
fn possible_methods(model: &TrainedModel) -> String {
    let graph = model.network.graph();
    let possible = |method| Explanation::new(graph, method, None).is_ok();
    let mut methods = Vec::new();
    if possible(ExplainMethod::Cam(CamMethod::GradCam)) {
        methods.extend([Method::GradCam, Method::GradCamPlusPlus, Method::GradCamMmaction2].map(Method::name));
    }
    if possible(ExplainMethod::AttentionRollout(HeadFusion::Mean)) {
        methods.push(Method::AttentionRollout.name());
    }
    match (methods.as_slice(), pipe_learn::default_layer(graph)) {
        ([], _) => "no method explains this network without `target_layer`".to_owned(),
        (methods, Some(layer)) => format!("it can be explained with {} (layer `{layer}`)", methods.join(", ")),
        (methods, None) => format!("it can be explained with {}", methods.join(", ")),
    }
}

struct Run<'a> {
    context: &'a Context,
    params: &'a ExplainParams,
    model: &'a TrainedModel,
    predictor: &'a Network,
    explanation: &'a Explanation,
}

/// How many test videos there are, and why others have no samples.
#[derive(Debug, Clone, Copy)]
struct TestList {
    num_videos: u64,
    missing: MissingCounts,
}

impl Run<'_> {
    fn explain(&self, samples: TestSamples) -> Result<Summary, StageError> {
        let missing = samples.missing;
        let videos = samples.by_video();
        let list = TestList { num_videos: videos.len() as u64, missing };
        let loader = Loader::open(self.context.input("frames")?)?;
        let (chosen, predictions) = self.choose(&loader, &videos)?;
        let size = self.model.clip_size();
        let shown_views: Arc<[SampleRow]> = chosen.iter().map(|views| views[views.len() / 2].clone()).collect();
        let mut results = Results::new(size, chosen.len());
        for clip in loader.clips(Arc::clone(&shown_views), size, 1, self.context.threads())? {
            let clip = clip?;
            let row = &shown_views[clip.rows.start];
            let prediction = predictions.iter().find(|prediction| is_of(prediction, row));
            let prediction = prediction.ok_or_else(|| StageError::message("a video has no prediction"))?;
            self.explain_clip(clip, row, prediction, &mut results)?;
            self.context.progress(results.videos.len() as u64, chosen.len() as u64, "videos");
            self.context.check_cancelled()?;
        }
        self.write(list, results)
    }

    /// Returns the views of the chosen videos, and the predictions of at least these.
    fn choose<'v>(
        &self,
        loader: &Loader,
        videos: &'v [Vec<SampleRow>],
    ) -> Result<(Vec<&'v [SampleRow]>, Vec<PredictionRow>), StageError> {
        let count = self.params.num_videos as usize;
        let all = || videos.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let chosen = match (self.params.videos.as_slice(), self.params.select) {
            ([], Select::Evenly) => evenly(videos, count),
            ([], Select::MostConfidentMistakes) => {
                let predictions = self.predict(loader, &all())?;
                return Ok((most_confident_mistakes(videos, &predictions, count)?, predictions));
            }
            (names, _) => named(videos, names)?,
        };
        let predictions = self.predict(loader, &chosen)?;
        Ok((chosen, predictions))
    }

    /// Predicts videos from all their views.
    fn predict(&self, loader: &Loader, videos: &[&[SampleRow]]) -> Result<Vec<PredictionRow>, StageError> {
        let rows: Arc<[SampleRow]> = videos.concat().into();
        let (size, total) = (self.model.clip_size(), rows.len() as u64);
        let batches = loader.clips(Arc::clone(&rows), size, BATCH_SIZE, self.context.threads())?;
        let after_batch = |done: usize| {
            self.context.progress(done as u64, total, "views");
            self.context.check_cancelled()
        };
        let logits = predict_clips(self.predictor, &self.model.normalisation(), size, batches, after_batch)?;
        let card = &self.model.card;
        let (average, labelling) = (card.model.cls_head.average_clips, card.preprocessing.labelling);
        Ok(average_views(&rows, &logits, average, labelling, &card.classes)?)
    }

    fn explain_clip(
        &self,
        clip: pipe_clips::Batch,
        row: &SampleRow,
        prediction: &PredictionRow,
        results: &mut Results,
    ) -> Result<(), StageError> {
        let classes = &self.model.card.classes;
        let target = target(&self.params.target_class, prediction, classes)?;
        let (model, predictor, explanation, params) = (self.model, self.predictor, self.explanation, self.params);
        let explainer = Explainer { model, predictor, explanation, params };
        let pixels = clip.pixels.clone();
        let name = file_name(row);
        let explained = explainer.explain(clip, target, &name)?;
        let figures = figures(row, prediction, &classes[target], &explained);
        let labels = labels(&figures, &name, self.params.method);
        results.heat_maps.extend(heat_map_rows(row, target, &explained.values, results.size));
        let shown = Shown { pixels, values: explained.values, labels };
        results.sheet.add(&shown);
        let path = format!("videos/{name}.mp4");
        write_video(&self.context.output(&path)?, &shown, results.size, self.params.fps)
            .map_err(|source| ExplainError::Encode { path, source })?;
        results.videos.push(figures);
        Ok(())
    }

    fn write(&self, list: TestList, results: Results) -> Result<Summary, StageError> {
        let Results { heat_maps, sheet, videos: figures, .. } = results;
        write_rows(&self.context.output("heat_maps.parquet")?, &heat_maps)?;
        sheet.write(&self.context.output("contact_sheet.png")?)?;
        let faithfulness = self.faithfulness(list, figures);
        write_json(&self.context.output("faithfulness.json")?, &faithfulness)?;
        if faithfulness.num_without_marks > 0 {
            let unmarked = faithfulness.videos.iter().filter(|video| !video.has_marks);
            let names: Vec<&str> = unmarked.take(MAX_NAMED).map(|video| video.video_id.as_str()).collect();
            self.context.warn(format!(
                "the heat maps of {} of {} videos are the same everywhere, so nothing is marked: {}{}",
                faithfulness.num_without_marks,
                faithfulness.videos.len(),
                names.join(", "),
                if faithfulness.num_without_marks > MAX_NAMED as u64 { ", …" } else { "" }
            ));
        }
        Ok(summary(&faithfulness))
    }

    fn faithfulness(&self, list: TestList, videos: Vec<VideoFaithfulness>) -> Faithfulness {
        let measured: Vec<(f64, f64, f64)> = videos.iter().filter_map(measured).collect();
        let mean = |value: fn(&(f64, f64, f64)) -> f64| {
            let sum: f64 = measured.iter().map(value).sum();
            (!measured.is_empty()).then(|| sum / measured.len() as f64)
        };
        Faithfulness {
            method: self.params.method,
            layer: self.explanation.layer().to_owned(),
            layer_grid: self.explanation.grid(),
            removal: self.params.removal,
            region: self.params.region,
            num_random_regions: self.params.random_regions,
            num_videos: measured.len() as u64,
            num_without_marks: (videos.len() - measured.len()) as u64,
            num_test_videos: list.num_videos,
            missing: list.missing,
            probability: mean(|(probability, ..)| *probability),
            without_marked: mean(|(_, marked, _)| *marked),
            without_random: mean(|(.., random)| *random),
            num_faithful: measured.iter().filter(|(_, marked, random)| marked < random).count() as u64,
            videos,
        }
    }
}

/// Maximum number of videos that a warning names.
const MAX_NAMED: usize = 10;

/// What the stage writes.
struct Results {
    size: ClipSize,
    heat_maps: Vec<HeatMapRow>,
    sheet: ContactSheet,
    videos: Vec<VideoFaithfulness>,
}

impl Results {
    fn new(size: ClipSize, num_videos: usize) -> Self {
        Self { size, heat_maps: Vec::new(), sheet: ContactSheet::new(size, num_videos), videos: Vec::new() }
    }
}

/// Returns the probabilities of a video: as it is, without marked pixels, and the mean without random regions.
fn measured(video: &VideoFaithfulness) -> Option<(f64, f64, f64)> {
    let mean = video.without_random.iter().sum::<f64>() / video.without_random.len().max(1) as f64;
    Some((video.probability, video.without_marked?, mean))
}

fn figures(row: &SampleRow, prediction: &PredictionRow, target: &str, clip: &ExplainedClip) -> VideoFaithfulness {
    VideoFaithfulness {
        video_id: row.video_id.clone(),
        start_secs: row.start_secs,
        end_secs: row.end_secs,
        label: prediction.class_names.first().cloned().unwrap_or_default(),
        predicted: prediction.predicted_name.clone(),
        target: target.to_owned(),
        view: row.view,
        has_marks: clip.without.is_some(),
        probability: clip.probability,
        without_marked: clip.without.as_ref().map(|(marked, _)| *marked),
        without_random: clip.without.as_ref().map_or(Vec::new(), |(_, random)| random.clone()),
    }
}

/// Returns the texts above the frames and above those with the heat map.
fn labels(figures: &VideoFaithfulness, name: &str, method: Method) -> [String; 2] {
    let VideoFaithfulness { label, predicted, target, probability, .. } = figures;
    let name = name.rsplit('/').next().unwrap_or(name);
    let first = format!("{label}, predicted {predicted} - {name}");
    let probabilities = measured(figures).map_or(", nothing is marked".to_owned(), |(_, marked, random)| {
        format!(", without marked {marked:.2}, random {random:.2}")
    });
    [first, format!("{} {target} {probability:.2}{probabilities}", method.name())]
}

fn heat_map_rows(row: &SampleRow, target: usize, values: &[f32], size: ClipSize) -> Vec<HeatMapRow> {
    let frames = values.chunks_exact(size.height * size.width).zip(&row.frame_indices).enumerate();
    let heat_map = |(clip_frame, (values, frame_index)): (usize, (&[f32], &u32))| HeatMapRow {
        video_id: row.video_id.clone(),
        start_secs: row.start_secs,
        end_secs: row.end_secs,
        view: row.view,
        target_index: target as u32,
        clip_frame: clip_frame as u32,
        frame_index: *frame_index,
        height_px: size.height as u32,
        width_px: size.width as u32,
        values: values.to_vec(),
    };
    frames.map(heat_map).collect()
}

/// Returns the path of a video, with the times of a segment.
fn file_name(row: &SampleRow) -> String {
    let times = row.start_secs.zip(row.end_secs);
    times.map_or(row.video_id.clone(), |(start, end)| format!("{}.{start}-{end}s", row.video_id))
}

fn summary(faithfulness: &Faithfulness) -> Summary {
    let Faithfulness { method, layer, num_videos, num_test_videos, num_faithful, num_without_marks, .. } = faithfulness;
    let means = faithfulness.probability.zip(faithfulness.without_marked).zip(faithfulness.without_random);
    let Some(((probability, marked), random)) = means else {
        let text = format!("{} at `{layer}`: none of {num_without_marks} heat maps marks anything", method.name());
        return Summary::line(text);
    };
    Summary::line(format!(
        "{} at `{layer}`: probability {probability:.2}, {marked:.2} without marked and {random:.2} without random regions, on \
         {num_videos} of {num_test_videos} videos; marked ones count more in {num_faithful} of them",
        method.name()
    ))
    .with_figures([("probability", probability), ("without_marked", marked), ("without_random", random)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_layer_has_help_that_fits_the_error() {
        let error = |nearest: &[&str]| pipe_learn::ExplainError::UnknownLayer {
            network: "MViT".into(),
            layer: "x".into(),
            is_node: false,
            nearest: nearest.iter().map(|name| (*name).to_owned()).collect(),
        };
        let check = |error, default, expect: Option<&str>| assert_eq!(layer_help(&error, default).as_deref(), expect);
        let both = "set `target_layer` to a layer with a feature map, such as `a`; if it is left out, it is `b`";
        check(error(&["`a`", "`c`"]), Some("b"), Some(both));
        // A network without a default layer needs one.
        check(error(&["`a`"]), None, Some("set `target_layer` to a layer with a feature map, such as `a`"));
        check(pipe_learn::ExplainError::NoAttention { network: "ResNet".into() }, Some("b"), None);
    }
}
