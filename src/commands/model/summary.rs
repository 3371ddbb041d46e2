//! `pipe model summary`.

mod view;

use super::file::WeightsFile;
use super::network::{Choice, ClipSize};
use super::recognise::candidates;
use crate::args::Format;
use crate::commands::Command;
use crate::error::CommandError;
use crate::exit::Code;
use std::path::Path;

/// Show the layers of a network with shapes, parameters and multiply-adds, or the tensors of a file
///
/// For example: `pipe model summary tsn_resnet50`, `pipe model summary ResNet --set depth=18 --input 8,112,112`, `pipe model summary
/// FILE.pth`. For a file, the network is recognised by the names and shapes of its tensors.
#[derive(Debug, clap::Args)]
pub(crate) struct Summary {
    /// File or folder of weights, name of a network such as `tsn_resnet50`, or a `type` of `model.backbone` such as `ResNet`
    #[arg(value_name = "FILE|NETWORK")]
    subject: String,
    /// Set a parameter of the network's type; repeatable. Example: `--set depth=18`
    #[arg(long = "set", value_name = "PARAMETER=VALUE")]
    settings: Vec<String>,
    /// Frames, height and width of the clips [default: those of the published figures]
    #[arg(long, value_name = "T,H,W")]
    input: Option<ClipSize>,
    /// Number of classes [default: that of the file, or of the published figures]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    num_classes: Option<u32>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Command for Summary {
    const NAME: &'static str = "summary";

    fn run(self) -> Result<Code, CommandError> {
        let json = self.output == Format::Json;
        let path = Path::new(&self.subject);
        if path.exists() {
            if !self.settings.is_empty() || self.num_classes.is_some() {
                let message = format!("{} is a file: `--set` and `--num-classes` are for networks", path.display());
                return Err(CommandError::bad_input(message));
            }
            let file = WeightsFile::open(path)?;
            view::file(&file, &candidates(&file)?, self.input, json);
            return Ok(Code::Ok);
        }
        let choice = Choice::named(&self.subject, &self.settings)?.with_clip(self.input);
        let num_classes = self.num_classes.map_or(choice.num_classes, |number| number as usize);
        let choice = Choice { num_classes, ..choice };
        view::network(&choice, &choice.graph()?, json);
        Ok(Code::Ok)
    }
}
