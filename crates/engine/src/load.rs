//! [`load`]: from a pipeline file, with what it extends, to a checked [`Plan`].

use crate::merge::Texts;
use crate::plan::Plan;
use crate::spec::Spec;
use crate::vars::unused;
use crate::{Problem, Problems, merge, settings, spec};
use std::path::Path;

/// A change to a pipeline from the command line, `PATH=VALUE`.
#[derive(Debug, Clone)]
pub struct Setting(pub String);

/// Reads the pipeline file at `path` with what it extends, applies `settings`, and checks all of it.
pub fn load(path: &Path, settings: &[Setting]) -> Result<Plan, Problems> {
    let (mut texts, mut problems) = (Texts::default(), Vec::new());
    match read(path, settings, &mut texts, &mut problems).and_then(Plan::new) {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(Problems::sorted(problems, &texts.all)),
    }
}

fn read(path: &Path, settings: &[Setting], texts: &mut Texts, problems: &mut Vec<Problem>) -> Option<Spec> {
    let mut root = match merge::read(path, texts) {
        Ok(root) => root,
        Err(found) => {
            problems.extend(found);
            return None;
        }
    };
    let num_files = texts.all.len();
    for Setting(setting) in settings {
        if let Err(problem) = settings::set(&mut root, setting, texts) {
            problems.push(problem);
        }
    }
    let unused: Vec<String> = unused::check(&root, texts, num_files, problems).into_iter().map(code).collect();
    let mut spec = spec::read(root, path, problems)?;
    if !unused.is_empty() {
        let variables = if unused.len() == 1 { "variable" } else { "variables" };
        spec.notes.push(format!("nothing uses the {variables} {}", unused.join(", ")));
    }
    Some(spec)
}

/// Returns a name as messages write it.
fn code(name: &str) -> String {
    format!("`{name}`")
}
