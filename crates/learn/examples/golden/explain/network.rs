//! [`network()`]: the network that a case describes, such as `conv1 Conv3d(3,4,3,pad 1) relu mean over T,H,W fc(4,5)`.

use crate::formula;
use pipe_graph::ops::{
    conv::ConvParams, frames_to_batch::FramesToBatch, global_avg_pool::GlobalAvgPool, linear::LinearParams, relu::Relu,
    segment_mean::SegmentMean,
};
use pipe_graph::{Builder, ClipShape, Graph, Init, NodeId};
use pipe_learn::Network;
use pipe_weights::{Checkpoint, Tensor};
use std::error::Error;

/// How a network sees the frames of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frames {
    /// As one axis of three.
    Together,
    /// As pictures of their own.
    Single,
}

/// The text before the layers of a network that sees single frames.
const SINGLE: &str = "per frame:";

/// Builds a network, with weights by formula.
pub(super) fn network(
    text: &str,
    frames: Frames,
    [_, channels, num_frames, height, width]: [usize; 5],
    gain: f64,
) -> Result<Network, Box<dyn Error>> {
    let layers = match (frames, text.trim().strip_prefix(SINGLE)) {
        (Frames::Together, None) => text,
        (Frames::Single, Some(layers)) => layers,
        (Frames::Together, Some(_)) => return Err(format!("`{SINGLE}` in a network over frames").into()),
        (Frames::Single, None) => return Err(format!("the network does not start with `{SINGLE}`").into()),
    };
    let graph = build(layers, frames, ClipShape { channels, frames: num_frames, height, width })?;
    let tensors = graph.params.iter().map(|param| {
        let values = formula::weights(&param.name, &param.shape, gain);
        (param.name.clone(), Tensor::from_f32(param.shape.clone(), &values))
    });
    let checkpoint = Checkpoint { tensors: tensors.collect(), ..Checkpoint::default() };
    let mut network = Network::new(graph, 0);
    network.load(checkpoint)?;
    Ok(network)
}

fn build(layers: &str, frames: Frames, clip: ClipShape) -> Result<Graph, Box<dyn Error>> {
    let mut g = Builder::new("golden", clip)?;
    let mut x = g.input();
    if frames == Frames::Single {
        x = g.node("frames", x, FramesToBatch)?;
    }
    let words = words(layers)?;
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        (x, rest) = match (word.as_str(), after) {
            ("mean", [over, axes, after @ ..]) if over == "over" => (mean(&mut g, x, frames, axes)?, after),
            (name, after) if name.starts_with("relu") && !name.contains('(') => (g.node(name, x, Relu)?, after),
            (layer, after) if layer.contains('(') => (linear(&mut g, x, layer)?, after),
            (name, [layer, after @ ..]) => (conv(&mut g, x, name, layer, frames)?, after),
            (word, []) => return Err(format!("`{word}` is not a layer that is known").into()),
        };
    }
    Ok(g.finish(x, x)?)
}

/// Splits at spaces and semicolons that are not within brackets.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut depth = 0_usize;
    let mut words = vec![String::new()];
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or("a bracket is closed that is not open")?,
            _ => {}
        }
        match (letter, words.last_mut()) {
            (' ' | ';', _) if depth == 0 => words.push(String::new()),
            (_, Some(word)) => word.push(letter),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    if depth == 0 { Ok(words) } else { Err("a bracket is not closed".to_owned()) }
}

fn mean(g: &mut Builder, x: NodeId, frames: Frames, axes: &str) -> Result<NodeId, Box<dyn Error>> {
    Ok(match (frames, axes) {
        (Frames::Together, "T,H,W") | (Frames::Single, "H,W") => g.node("mean", x, GlobalAvgPool)?,
        (Frames::Single, "frames") => g.node("mean_of_frames", x, SegmentMean)?,
        _ => return Err(format!("the mean over {axes} is not known").into()),
    })
}

/// Appends `NAME(IN,OUT)`.
fn linear(g: &mut Builder, x: NodeId, layer: &str) -> Result<NodeId, Box<dyn Error>> {
    let (name, sizes) = arguments(layer)?;
    let [inputs, outputs] = sizes.as_slice() else { return Err(format!("`{layer}` is not a linear layer").into()) };
    check_inputs(g, x, name, inputs)?;
    let params = LinearParams { out_features: number(outputs)?, init: Init::Constant(0.0), bias: true };
    Ok(g.node(name, x, params)?)
}

/// Appends `NAME Conv3d(IN,OUT,KERNEL,stride S,pad P)`; the last two may be absent.
fn conv(g: &mut Builder, x: NodeId, name: &str, layer: &str, frames: Frames) -> Result<NodeId, Box<dyn Error>> {
    let (kind, arguments) = arguments(layer)?;
    let [inputs, outputs, kernel, options @ ..] = arguments.as_slice() else {
        return Err(format!("`{layer}` is not a convolution").into());
    };
    check_inputs(g, x, name, inputs)?;
    match (kind, frames) {
        ("Conv3d", Frames::Together) => Ok(g.node(name, x, conv_params::<3>(outputs, kernel, options)?)?),
        ("Conv2d", Frames::Single) => Ok(g.node(name, x, conv_params::<2>(outputs, kernel, options)?)?),
        _ => Err(format!("`{kind}` is not a layer that is known here").into()),
    }
}

fn conv_params<const D: usize>(
    outputs: &str,
    kernel: &str,
    options: &[String],
) -> Result<ConvParams<D>, Box<dyn Error>> {
    let kernel = sizes(kernel)?;
    let mut params = ConvParams { out_channels: number(outputs)?, kernel, bias: true, ..ConvParams::default() };
    for option in options {
        match option.split_once(' ') {
            Some(("stride", value)) => params.stride = sizes(value)?,
            Some(("pad", value)) => params.padding = sizes(value)?,
            _ => return Err(format!("`{option}` is not an option of convolutions that is known").into()),
        }
    }
    Ok(params)
}

fn check_inputs(g: &Builder, x: NodeId, name: &str, inputs: &str) -> Result<(), Box<dyn Error>> {
    let (expected, found) = (number(inputs)?, g.channels(x)?);
    if expected == found {
        Ok(())
    } else {
        Err(format!("`{name}` takes {expected} channels, but there are {found}").into())
    }
}

/// Splits `NAME(A,B,…)` at commas that are not within further brackets.
fn arguments(text: &str) -> Result<(&str, Vec<String>), String> {
    let parts = text.split_once('(').and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)));
    let (name, rest) = parts.ok_or_else(|| format!("`{text}` is not a layer that is known"))?;
    let mut all = vec![String::new()];
    let mut depth = 0_usize;
    for letter in rest.chars() {
        depth = match letter {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        match (letter, all.last_mut()) {
            (',', _) if depth == 0 => all.push(String::new()),
            (_, Some(argument)) => argument.push(letter),
            (_, None) => {}
        }
    }
    Ok((name, all.into_iter().map(|argument| argument.trim().to_owned()).collect()))
}

/// Parses `3` as the size of all axes, or `(1,2,2)`.
fn sizes<const D: usize>(text: &str) -> Result<[usize; D], String> {
    let Some(list) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return Ok([number(text)?; D]);
    };
    let sizes = list.split(',').map(|size| number(size.trim())).collect::<Result<Vec<_>, _>>()?;
    sizes.try_into().map_err(|_| format!("`{text}` does not have {D} sizes"))
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a size"))
}
