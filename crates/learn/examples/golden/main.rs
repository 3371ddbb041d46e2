//! `cargo xtask golden KIND FILE… [--only ID]`: compares with values of the Python originals.
//!
//! The files hold outputs only: weights and clips are made from the names of tensors, see `formula.rs`. `architectures.rs` has the
//! network of each case, the other files compare.

mod architectures;
mod cases;
mod config;
mod draws;
mod explain;
mod formula;
mod inflation;
mod losses;
mod networks;
mod optim;
mod pretraining;
mod python_json;
mod schedules;
mod train_step;

use std::error::Error;
use std::process::ExitCode;

const USAGE: &str = "cargo xtask golden networks|structure|inflation|optim|schedules|losses|train-step|explain FILE… [--only ID]\n\
     cargo xtask golden metrics FILE… [--only ID]";

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
    let [kind, files @ ..] = args.as_slice() else { return Err("no kind is given".into()) };
    if files.is_empty() {
        return Err("no file is given".into());
    }
    match kind.as_str() {
        "networks" | "structure" => networks::compare(files, only.as_deref()),
        "optim" => optim::compare(files, only.as_deref()),
        "inflation" => inflation::compare(files, only.as_deref()),
        "schedules" => schedules::compare(files, only.as_deref()),
        "losses" => losses::compare(files, only.as_deref()),
        "train-step" => train_step::compare(files, only.as_deref()),
        "explain" => explain::compare(files, only.as_deref()),
        other => Err(format!("`{other}` is not a kind of golden values").into()),
    }
}
