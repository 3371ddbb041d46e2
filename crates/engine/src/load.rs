//! [`load`]: from a pipeline file, with what it extends, to a checked [`Plan`].

use crate::place::SourceText;
use crate::plan::Plan;
use crate::spec::Spec;
use crate::{Problem, Problems, merge, spec};
use std::path::Path;
use std::sync::Arc;

/// A change to a pipeline from the command line, `PATH=VALUE`.
#[derive(Debug, Clone)]
pub struct Setting(pub String);

/// Reads the pipeline file at `path` with what it extends, applies `settings`, and checks all of it.
pub fn load(path: &Path, settings: &[Setting]) -> Result<Plan, Problems> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    match read(path, settings, &mut files, &mut problems).and_then(Plan::new) {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(Problems::sorted(problems, &files)),
    }
}

fn read(
    path: &Path,
    settings: &[Setting],
    files: &mut Vec<Arc<SourceText>>,
    problems: &mut Vec<Problem>,
) -> Option<Spec> {
    let mut root = match merge::read(path, files) {
        Ok(root) => root,
        Err(found) => {
            problems.extend(found);
            return None;
        }
    };
    for Setting(setting) in settings {
        if let Err(problem) = merge::set(&mut root, setting, files) {
            problems.push(problem);
        }
    }
    spec::read(root, path, problems)
}
