//! `cargo xtask golden metrics FILE… [--only ID]`: compares metrics with values of scikit-learn and MMAction2.
//!
//! The scores are made by formula, see `formula.rs`. `kinds.rs` has the kinds of cases, and `kinds/` computes the figures of each. A kind or a
//! figure that is not known is an error.

mod case;
#[path = "../../../learn/examples/golden/draws.rs"]
mod draws;
mod formula;
mod kinds;
#[path = "../../../learn/examples/golden/python_json.rs"]
mod python_json;

use case::Case;
use kinds::UnparsedCase;
use std::error::Error;
use std::process::ExitCode;

const USAGE: &str = "cargo xtask golden metrics FILE… [--only ID]";

#[expect(clippy::print_stderr, reason = "the end of a program")]
fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} {} not equal", if failed == 1 { "case is" } else { "cases are" });
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Returns the number of cases that differ.
fn run(mut args: Vec<String>) -> Result<usize, Box<dyn Error>> {
    let mut only = None;
    if let Some(at) = args.iter().position(|arg| arg == "--only") {
        args.remove(at);
        if at >= args.len() {
            return Err("`--only` needs the id of a case".into());
        }
        only = Some(args.remove(at));
    }
    match args.as_slice() {
        [kind, files @ ..] if kind == "metrics" && !files.is_empty() => compare(files, only.as_deref()),
        [kind] if kind == "metrics" => Err("no file is given".into()),
        _ => Err("the kind of golden values is not `metrics`".into()),
    }
}

/// Compares all cases of the files, or the one with the id `only`, and prints a row for each.
#[expect(clippy::print_stdout, reason = "the report of a program")]
fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let (mut failed, mut compared) = (0, 0);
    for path in files {
        for UnparsedCase { kind, position, value } in kinds::read(path)? {
            let case = Case::new(value, position);
            let id = case.as_ref().map_or_else(|_| format!("{kind}/{position}"), |case| case.id(&kind));
            if only.is_some_and(|only| only != id && Some(only) != id.split_once('/').map(|(_, name)| name)) {
                continue;
            }
            compared += 1;
            let (verdict, text) = match case.and_then(|case| kinds::measure(&kind, &case)) {
                Ok(found) if found.differing.is_empty() => ("equal", found.to_string()),
                Ok(found) => ("DIFFERS", found.to_string()),
                Err(error) => ("FAILED", error.to_string()),
            };
            failed += usize::from(verdict != "equal");
            println!("{verdict:8} {id:32} {text}");
        }
    }
    println!("{} of {compared} cases equal {}", compared - failed, kinds::LIMITS);
    if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
}
