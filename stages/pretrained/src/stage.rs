//! [`Pretrained`]: the stage itself.

use crate::classes::Classes;
use crate::published::Published;
use pipe_learn::{Network, TrainedModel, WeightsReport};
use pipe_models::LoadReport;
use pipe_schemas::stages::pretrained::PretrainedParams;
use pipe_schemas::tables::{ModelCard, Preprocessing};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::SamplesFolder;

/// The stage `pretrained`.
pub struct Pretrained;

impl Stage for Pretrained {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::pretrained::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: PretrainedParams = context.params()?;
        let published = Published::find(context, &params)?;
        let classes = Classes::read(context, published.source.path(), published.classes())?;
        let preprocessing = SamplesFolder::open(context.input("samples")?).preprocessing()?;
        // Nothing is trained, so the network is never built for training clips.
        let preprocessing = Preprocessing { train_frames: preprocessing.test_frames, ..preprocessing };
        let (frames, num_classes) = (preprocessing.test_frames, classes.names.len());
        let graph = TrainedModel::graph(&params.model, frames, &preprocessing, num_classes, &[])?;
        let mut network = Network::new(graph, 0);
        let report = published.load(&params.model.backbone, &mut network, &classes)?;
        let card = ModelCard {
            model: params.model,
            graph_digest: network.graph().digest().to_hex().to_string(),
            classes: classes.names,
            preprocessing,
            epochs: 0,
            pruning: Vec::new(),
        };
        let summary = Summary::lines(lines(&card, classes.source, &network, &report));
        let report = WeightsReport::Loaded(Box::new(report));
        TrainedModel::write(&context.output("model")?, &card, &network, &report)?;
        Ok(summary.with_figures([("num_classes", card.classes.len() as f64)]))
    }
}

fn lines(card: &ModelCard, source: &str, network: &Network, report: &LoadReport) -> Vec<String> {
    let (graph, count) = (network.graph(), card.classes.len());
    let plural = if count == 1 { "" } else { "es" };
    let mut lines =
        vec![format!("{}, {} parameters, {count} class{plural} of {source}", graph.name, graph.num_params())];
    lines.extend(report.lines());
    lines
}
