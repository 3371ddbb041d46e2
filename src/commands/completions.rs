//! `pipe completions`.

use super::Command;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render;
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// For bash: `pipe completions bash > ~/.local/share/bash-completion/completions/pipe`. For fish:
/// `pipe completions fish > ~/.config/fish/completions/pipe.fish`. For zsh: write it to a file `_pipe` in a folder of `$fpath`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// Shell to complete in
    shell: Shell,
}

impl Command for Completions {
    const NAME: &'static str = "completions";

    fn run(self) -> Result<Code, CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::pipe(), "pipe", &mut script);
        render::print_bytes(&script);
        Ok(Code::Ok)
    }
}
