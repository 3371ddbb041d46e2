//! [`Compare`]: the stage itself.

use crate::compare::{Pair, changes, compare};
use crate::text::{p_text, text};
use pipe_evaluation::{Choice, Known, LeftOut, align, check_predictions, class_names, groups_as_units, labelling_of};
use pipe_schemas::evaluation::OnMissing;
use pipe_schemas::stages::compare::{CONTRACT, CompareParams, Comparison};
use pipe_schemas::tables::{AnnotationRow, PredictionRow};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_tables::{LabelsFolder, read_rows, write_json, write_rows};

/// What messages call the inputs.
const INPUTS: [&str; 2] = ["the input `a`", "the input `b`"];

/// The stage `compare`.
pub struct Compare;

impl Stage for Compare {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: CompareParams = context.params()?;
        let tables: [Vec<PredictionRow>; 2] = [read_rows(context.input("a")?)?, read_rows(context.input("b")?)?];
        let named = [(INPUTS[0], tables[0].as_slice()), (INPUTS[1], tables[1].as_slice())];
        for (input, rows) in named {
            check_predictions(input, rows)?;
        }
        class_names(&named, None)?;
        let labelling = labelling_of(&tables.concat());
        let CompareParams { metric_list, metric_options, bootstrap, on_missing } = &params;
        let metrics = Choice { metric_list, metric_options, bootstrap }.metrics(labelling)?;
        let aligned = align(&named)?;
        if let Some(text) = aligned.missing_text(&INPUTS) {
            match on_missing {
                OnMissing::Fail => {
                    return Err(StageError::message(text)
                        .with_help("evaluate both networks on the same test list, or set `on_missing: drop`"));
                }
                OnMissing::Drop => context.warn(format!("left out, because `on_missing` is `drop`: {text}")),
            }
        }
        let left_out = left_out(context, &tables)?;
        left_out.warning().into_iter().for_each(|text| context.warn(text));
        let pair = Pair { a: &aligned.tables[0], b: &aligned.tables[1] };
        let known = Known::read(context.optional_input("labels"), None, pair.a)?;
        let groups = known.groups().and_then(|groups| groups_as_units(pair.a, groups));
        let found = compare(pair, &metrics, bootstrap, groups, &left_out)
            .ok_or_else(|| StageError::message("no metric of `metric_list` is defined for these predictions"))?;
        let rows = changes(pair);
        write_json(&context.output("metrics.json")?, &found)?;
        let folder = context.output("report")?;
        fs_err::create_dir_all(&folder)?;
        write_rows(&folder.join("comparison.parquet"), &rows)?;
        fs_err::write(folder.join("comparison.txt"), text(&found, &left_out, &rows))?;
        Ok(summary(&found, &left_out))
    }
}

/// Counts the videos of the inputs and, if the labels are connected, of the test list.
fn left_out(context: &Context, [a, b]: &[Vec<PredictionRow>; 2]) -> Result<LeftOut, StageError> {
    let labels = context.optional_input("labels").map(|path| LabelsFolder::open(path).annotations());
    let labels: Option<Vec<AnnotationRow>> = labels.transpose()?;
    Ok(LeftOut::count(&[("a", a), ("b", b)], labels.as_deref()))
}

/// Returns a line such as `top1 a 0.80, b 0.85: +0.05 (-0.01 to +0.11) on 80 videos; 6 fixed, 2 broken, McNemar exact p 0.289`.
fn summary(found: &Comparison, left_out: &LeftOut) -> Summary {
    let Comparison { first_metric, metrics, num_fixed, num_broken, mcnemar, .. } = found;
    let first = &metrics[first_metric];
    let interval = first.videos.map_or_else(String::new, |found| format!(" ({:+.2} to {:+.2})", found.low, found.high));
    let (test, p) = match mcnemar.recommended {
        "exact" => ("exact", mcnemar.exact_p),
        _ => ("chi-squared", mcnemar.chi_squared_p),
    };
    let line = format!(
        "{first_metric} a {:.2}, b {:.2}: {:+.2}{interval} on {}; {num_fixed} fixed, {num_broken} broken, McNemar {test} p {}",
        first.a,
        first.b,
        first.difference,
        left_out.denominator(),
        p_text(p)
    );
    Summary::lines([line].into_iter().chain(left_out.note()).collect())
        .with_figures(metrics.iter().map(|(name, metric)| (name.as_str(), metric.difference)))
}
