//! `pipe model verify`.

mod view;

pub(in crate::commands::model) use view::network_line;

use super::convert::bad_classifier;
use super::file::{WeightsFile, unsupported};
use super::network::{Choice, NetworkArgs};
use super::recognise::{Candidate, candidates, classes_in};
use crate::args::Format;
use crate::commands::Command;
use crate::error::CommandError;
use crate::exit::Code;
use pipe_models::{LoadOptions, load};
use pipe_schemas::networks::Project;
use pipe_weights::not_finite;
use std::path::PathBuf;

/// Check a file of weights: readable, finite, and whose network it is
///
/// The exit code is 1 if the file or one of its tensors can't be read, if a value is NaN or infinite, if weights are integers, if the
/// tensors of the classifier disagree about the number of classes, or if the file does not fit `--network`.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// File or folder of weights
    file: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Command for Verify {
    const NAME: &'static str = "verify";

    fn run(self) -> Result<Code, CommandError> {
        if self.network.map.is_some() && self.network.choice()?.is_none() {
            return Err(CommandError::bad_input(
                "`--map` needs `--network`, whose tensors have these names".to_owned(),
            ));
        }
        let file = WeightsFile::open(&self.file)?;
        let candidates = candidates(&file)?;
        let bad = not_finite(&file.checkpoint.tensors);
        let asked = self.network.choice()?;
        let loaded = asked.map(|choice| fit(choice, &file, self.network.map)).transpose()?;
        let fits = loaded.as_ref().is_none_or(Result::is_ok);
        let faults = faults(&file, &candidates);
        let report = view::Report { file: &file, bad: &bad, candidates: &candidates, faults: &faults, loaded };
        if self.output == Format::Json {
            view::json(&report);
        } else {
            view::text(&report);
        }
        Ok(if bad.is_empty() && faults.is_empty() && fits { Code::Ok } else { Code::Failed })
    }
}

/// Returns what is wrong with the tensors, apart from values that are not finite.
fn faults(file: &WeightsFile, candidates: &[Candidate]) -> Vec<String> {
    let mut faults: Vec<String> = unsupported(file).into_iter().collect();
    for fault in candidates.iter().flat_map(|candidate| &candidate.faults) {
        if !faults.contains(fault) {
            faults.push(fault.clone());
        }
    }
    faults
}

/// Loads the file into a network, and returns the lines of the report, or why it does not fit.
fn fit(choice: Choice, file: &WeightsFile, map: Option<Project>) -> Result<Result<Vec<String>, String>, CommandError> {
    let classes = match classes_in(&choice, file)? {
        Ok(classes) => classes,
        Err(fault) => return Ok(Err(fault)),
    };
    let choice = Choice { num_classes: classes.unwrap_or(choice.num_classes), ..choice };
    let options = LoadOptions { map, config: file.config.clone(), ..LoadOptions::default() };
    let loaded = load(&choice.backbone, &choice.graph()?, file.checkpoint.clone(), &options);
    Ok(match loaded {
        // The network has as many classes as the file. A file without a classifier is fine: training makes one.
        Ok(imported) if classes.is_some() && !imported.report.reinitialised.is_empty() => {
            Err(bad_classifier(&imported.report))
        }
        Ok(imported) => Ok(imported.report.lines()),
        Err(error) => Err(error.to_string()),
    })
}
