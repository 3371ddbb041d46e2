//! `pipe bases`.

mod view;

use super::Command;
use crate::args::Format;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render;
use pipe_engine::BASES;

/// List the built-in files that a pipeline file can extend, or print one of them
///
/// For example: `extends: [builtin/datasets/class_folder, builtin/models/tsn_r50]`. Every value can be overridden.
#[derive(Debug, clap::Args)]
pub(crate) struct Bases {
    /// File to print, such as `models/tsn_r50` [default: list all files]
    name: Option<String>,
    /// Output format of the list
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Command for Bases {
    const NAME: &'static str = "bases";

    fn run(self) -> Result<Code, CommandError> {
        let Some(name) = &self.name else {
            for base in BASES {
                view::base(base, self.output == Format::Json);
            }
            return Ok(Code::Ok);
        };
        let base = pipe_engine::base(name).map_err(|nearest| {
            let help =
                nearest.map_or("`pipe bases` lists all".to_owned(), |nearest| format!("did you mean `{nearest}`?"));
            CommandError::bad_input(format!("there is no built-in file `{name}`; {help}"))
        })?;
        render::print_bytes(base.text.as_bytes());
        Ok(Code::Ok)
    }
}
