//! [`Fuse`]: the stage itself.

use crate::FuseError;
use crate::sum::fused;
use pipe_evaluation::{
    Aligned, Choice, Evaluation, Known, LeftOut, Measured, SliceTable, align, check_predictions, class_names,
    classes_without_videos, labelling_of, measure, write_report,
};
use pipe_schemas::evaluation::{Metrics, OnMissing};
use pipe_schemas::stages::fuse::{CONTRACT, FuseParams, INPUTS};
use pipe_schemas::tables::{AnnotationRow, ClassRow, PredictionRow};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::{LabelsFolder, read_rows, write_json, write_rows};
use std::collections::BTreeMap;

/// The stage `fuse`.
pub struct Fuse;

impl Stage for Fuse {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: FuseParams = context.params()?;
        let (ports, tables) = read(context)?;
        let inputs: Vec<String> = ports.iter().map(|port| format!("the input `{port}`")).collect();
        let named: Vec<(&str, &[PredictionRow])> =
            inputs.iter().map(String::as_str).zip(tables.iter().map(Vec::as_slice)).collect();
        for (input, rows) in &named {
            check_predictions(input, rows)?;
        }
        let coefficients = coefficients(&params, &ports)?;
        let list: Option<Vec<ClassRow>> = context.optional_input("classes").map(read_rows).transpose()?;
        let names = class_names(&named, list.as_deref())?;
        if !names.unknown.is_empty() {
            let (unknown, all) = (names.unknown.len(), names.names.len());
            context.warn(format!(
                "the names of {unknown} of {all} classes are unknown, because no video has them: connect the input `classes`"
            ));
        }
        let aligned = align(&named)?;
        report_missing(context, &params, &aligned, &inputs)?;
        let left_out = left_out(context, &ports, &tables)?;
        left_out.warning().into_iter().for_each(|text| context.warn(text));
        let labelling = labelling_of(&tables.concat());
        let predictions = fused(&aligned.tables, &coefficients, labelling, &names.names)
            .ok_or_else(|| StageError::message("the predictions have different sizes"))?;
        write_rows(&context.output("predictions.parquet")?, &predictions)?;

        let (labels, videos) = (context.optional_input("labels"), context.optional_input("videos"));
        let mut known = Known::read(labels, videos, &predictions)?;
        if let Some(file) = context.source("slices")? {
            let table = SliceTable::read(&file.root, &predictions, &known.columns)?;
            table.warning().into_iter().for_each(|text| context.warn(text));
            known.columns.extend(table.columns);
        }
        let evaluation = Evaluation {
            predictions: &predictions,
            classes: &names.names,
            labelling,
            groups: known.groups(),
            columns: &known.columns,
        };
        let FuseParams { metric_list, metric_options, bootstrap, .. } = &params;
        let choice = Choice { metric_list, metric_options, bootstrap };
        let mut measured = measure(&evaluation, &choice)?;
        write_json(&context.output("metrics.json")?, &metrics(&mut measured, &left_out))?;
        write_report(&evaluation, &choice, &context.output("report")?)?;
        if let Some(text) = classes_without_videos(&predictions, &names.names) {
            context.warn(text);
        }
        Ok(summary(&measured, &ports, &coefficients, &left_out))
    }
}

/// Reads the connected predictions, with the names of their ports.
fn read(context: &Context) -> Result<(Vec<&'static str>, Vec<Vec<PredictionRow>>), StageError> {
    let connected = INPUTS.into_iter().filter_map(|port| Some((port, context.optional_input(port)?)));
    let mut tables = (Vec::new(), Vec::new());
    for (port, path) in connected {
        tables.0.push(port);
        tables.1.push(read_rows(path)?);
    }
    Ok(tables)
}

/// Returns the weight of each connected input.
fn coefficients(params: &FuseParams, ports: &[&'static str]) -> Result<Vec<f64>, StageError> {
    if params.coefficients.is_empty() {
        return Ok(vec![1.0; ports.len()]);
    }
    if params.coefficients.len() != ports.len() {
        let (num_coefficients, num_inputs) = (params.coefficients.len(), ports.len());
        let error = FuseError::Coefficients { num_coefficients, num_inputs, inputs: ports.to_vec() };
        return Err(StageError::from(error).with_help("write one number for each connected input"));
    }
    Ok(params.coefficients.clone())
}

/// Fails or warns if only some of the predictions have a video.
fn report_missing(
    context: &Context,
    params: &FuseParams,
    aligned: &Aligned,
    inputs: &[String],
) -> Result<(), StageError> {
    let Some(text) = aligned.missing_text(&inputs.iter().map(String::as_str).collect::<Vec<_>>()) else {
        return Ok(());
    };
    match params.on_missing {
        OnMissing::Fail => Err(StageError::from(FuseError::Missing { text })
            .with_help("evaluate all networks on the same test list, or set `on_missing: drop`")),
        OnMissing::Drop => {
            context.warn(format!("left out, because `on_missing` is `drop`: {text}"));
            Ok(())
        }
    }
}

/// Counts the videos of the inputs and, if the labels are connected, of the test list.
fn left_out(context: &Context, ports: &[&str], tables: &[Vec<PredictionRow>]) -> Result<LeftOut, StageError> {
    let labels = context.optional_input("labels").map(|path| LabelsFolder::open(path).annotations());
    let labels: Option<Vec<AnnotationRow>> = labels.transpose()?;
    let inputs: Vec<(&str, &[PredictionRow])> = ports.iter().copied().zip(tables.iter().map(Vec::as_slice)).collect();
    Ok(LeftOut::count(&inputs, labels.as_deref()))
}

/// Returns the content of `metrics.json`: that of `evaluate`, without the number of listed videos if it is not known.
fn metrics<'a>(measured: &mut Measured, left_out: &'a LeftOut) -> Metrics<&'a BTreeMap<String, u64>> {
    let LeftOut { num_listed, num_missing, missing, .. } = left_out;
    if num_listed.is_none() {
        measured.not_computed.insert("num_listed".to_owned(), LeftOut::NOT_LISTED.to_owned());
    }
    measured.metrics(*num_listed, *num_missing, missing)
}

/// Returns lines such as `1 a + 0.5 b = top1 0.67 (0.33 to 1.00), top5 1.00 (1.00 to 1.00) on 3 of 4 videos (1 missing: 1 in no input)`.
fn summary(measured: &Measured, ports: &[&str], coefficients: &[f64], left_out: &LeftOut) -> Summary {
    let weights: Vec<String> =
        coefficients.iter().zip(ports).map(|(weight, port)| format!("{weight} {port}")).collect();
    let line = format!("{} = {} on {}", weights.join(" + "), measured.line(), left_out.denominator());
    Summary::lines([line].into_iter().chain(left_out.note()).collect())
        .with_figures(measured.figures.values.iter().map(|(name, value)| (name.as_str(), *value)))
}
