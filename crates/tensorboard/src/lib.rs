//! Event files that TensorBoard opens: scalars, images and hyper-parameters.
//!
//! An event file is a sequence of TFRecords (`record.rs`), each with a protobuf message `Event` (`proto.rs`). The format is that of
//! TensorBoard 2; `tests/tensorboard.rs` reads a file with TensorBoard itself.
//!
//! Equal events give equal bytes: an event has no time of the clock. Its `wall_time` is its step, in seconds.

mod proto;
mod record;

use prost::Message;
use proto::{Event, HParams, Image, PluginData, Summary, SummaryMetadata, Value, What};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How the name of an event file must start, or TensorBoard does not read it.
pub const FILE_PREFIX: &str = "events.out.tfevents.";

/// What the first event of a file must say.
const FILE_VERSION: &str = "brain.Event:2";

/// Writes an event file.
#[derive(Debug)]
pub struct EventWriter<W> {
    out: W,
}

/// The value of a hyper-parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum HyperParameter {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
}

impl<W: Write> EventWriter<W> {
    /// Begins a file.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out };
        writer.write(0, What::FileVersion(FILE_VERSION.to_owned()))?;
        Ok(writer)
    }

    /// Adds the value of a scalar at a step. TensorBoard draws one curve per tag, and groups tags by what stands before `/`.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> io::Result<()> {
        let value = Value { tag: tag.to_owned(), simple_value: Some(value as f32), ..Value::default() };
        self.write(step, What::Summary(Summary { value: vec![value] }))
    }

    /// Adds an image, given as the bytes of a PNG file with three channels.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is not a PNG file.
    pub fn image(&mut self, tag: &str, step: u64, png: &[u8]) -> io::Result<()> {
        const RGB: i32 = 3;
        let [width, height] = size_of_png(png)?;
        let image = Image { height, width, colorspace: RGB, encoded_image_string: png.to_vec() };
        let value = Value { tag: tag.to_owned(), image: Some(image), ..Value::default() };
        self.write(step, What::Summary(Summary { value: vec![value] }))
    }

    /// Adds the hyper-parameters of the run, and the tags of the scalars that TensorBoard's table shows next to them.
    pub fn hyper_parameters(
        &mut self,
        parameters: &BTreeMap<String, HyperParameter>,
        metrics: &[&str],
    ) -> io::Result<()> {
        for (tag, content) in HParams::session(parameters, metrics) {
            let plugin_data = PluginData { plugin_name: "hparams".to_owned(), content: content.encode_to_vec() };
            let metadata = Some(SummaryMetadata { plugin_data: Some(plugin_data) });
            let value = Value { tag: format!("_hparams_/{tag}"), metadata, ..Value::default() };
            self.write(0, What::Summary(Summary { value: vec![value] }))?;
        }
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, step: u64, what: What) -> io::Result<()> {
        let event = Event { wall_time: step as f64, step: step.cast_signed(), what: Some(what) };
        record::write(&mut self.out, &event.encode_to_vec())
    }
}

/// Returns the width and the height that the header of a PNG file states.
fn size_of_png(png: &[u8]) -> io::Result<[i32; 2]> {
    let number = |at: usize| -> Option<i32> {
        let bytes = png.get(at..)?.first_chunk::<4>()?;
        u32::from_be_bytes(*bytes).try_into().ok()
    };
    let size = || Some([number(16)?, number(20)?]);
    let size = png.starts_with(b"\x89PNG\r\n\x1a\n").then(size).flatten();
    size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a PNG file"))
}
