//! What `pipe model summary` prints: a table of layers or of tensors, and the totals.

use crate::commands::model::file::{WeightsFile, printable, shape_text};
use crate::commands::model::network::{Choice, ClipSize};
use crate::commands::model::recognise::Candidate;
use crate::commands::model::verify::network_line;
use crate::render::table::{Align, Table};
use crate::render::{self, text};
use pipe_engine::grouped;
use pipe_graph::{Graph, Node, Role, Shape};
use pipe_models::ModelError;
use serde_json::json;

/// The size of a parameter in memory, as a 32-bit float.
const BYTES_PER_VALUE: u64 = 4;

/// Prints a network: a row per layer, then the totals.
pub(super) fn network(choice: &Choice, graph: &Graph, json: bool) {
    let totals = Totals::of(graph);
    if json {
        let layers: Vec<_> = graph.nodes.iter().map(|node| layer_json(graph, node)).collect();
        let clip = choice.clip;
        return render::print_json(&json!({
            "network": graph.name,
            "backbone": choice.backbone,
            "input": [clip.channels, clip.frames, clip.height, clip.width],
            "num_classes": choice.num_classes,
            "params": totals.params,
            "buffers": totals.buffers,
            "bytes": totals.bytes(),
            "macs": graph.macs(),
            "layers": layers,
        }));
    }
    let columns = [("layer", Align::Left), ("op", Align::Left), ("shape", Align::Left)];
    let mut table = Table::new(columns.into_iter().chain([("parameters", Align::Right), ("MACs", Align::Right)]));
    for node in &graph.nodes {
        let (params, macs) = (Totals::of_node(graph, node).params, graph.node_macs(node));
        let number = |number: u64| if number == 0 { String::new() } else { grouped(number) };
        table.row([node.name.clone(), node.op.name().into(), node_shape(&node.shape), number(params), number(macs)]);
    }
    table.print();
    render::print("");
    render::print(&format!("network     {}  {}", graph.name, choice.parameters()));
    render::print(&format!("input       {}", clip_text(choice)));
    render::print(&format!("classes     {}", grouped(choice.num_classes as u64)));
    render::print(&format!(
        "parameters  {} trained, {} running statistics",
        grouped(totals.params),
        grouped(totals.buffers)
    ));
    render::print(&format!("size        {} as 32-bit floats", text::bytes(totals.bytes())));
    render::print(&format!("MACs        {} multiply-adds per clip", grouped(graph.macs())));
}

/// The values of tensors.
#[derive(Debug, Default)]
struct Totals {
    /// Trained values.
    params: u64,
    /// Running statistics.
    buffers: u64,
}

impl Totals {
    fn of(graph: &Graph) -> Self {
        Self::sum(graph.params.iter())
    }

    fn of_node(graph: &Graph, node: &Node) -> Self {
        Self::sum(node.params.iter().filter_map(|param| graph.params.get(param.id.0)))
    }

    fn sum<'a>(params: impl Iterator<Item = &'a pipe_graph::Param>) -> Self {
        let mut totals = Self::default();
        for param in params {
            let total = if param.role == Role::Buffer { &mut totals.buffers } else { &mut totals.params };
            *total += param.len() as u64;
        }
        totals
    }

    fn bytes(&self) -> u64 {
        (self.params + self.buffers) * BYTES_PER_VALUE
    }
}

fn layer_json(graph: &Graph, node: &Node) -> serde_json::Value {
    let Totals { params, buffers } = Totals::of_node(graph, node);
    let shape: Vec<usize> = std::iter::once(node.shape.per_sample).chain(node.shape.dims.iter().copied()).collect();
    let inputs: Vec<&str> = node.inputs.iter().filter_map(|id| Some(graph.nodes.get(id.0)?.name.as_str())).collect();
    json!({
        "layer": node.name,
        "op": node.op.name(),
        "inputs": inputs,
        // The first number is the rows per clip; 0 for a table that is the same for all clips.
        "shape": shape,
        "params": params,
        "buffers": buffers,
        "macs": graph.node_macs(node),
    })
}

/// Returns a shape as `Nx64x56x56`; `8N` where each clip has 8 rows, and no `N` for a table that is the same for all clips.
fn node_shape(shape: &Shape) -> String {
    let batch = match shape.per_sample {
        0 => None,
        1 => Some("N".to_owned()),
        rows => Some(format!("{rows}N")),
    };
    batch.into_iter().chain(shape.dims.iter().map(usize::to_string)).collect::<Vec<_>>().join("x")
}

/// Prints the tensors of a file, then the totals and the networks that have these tensors.
pub(super) fn file(file: &WeightsFile, candidates: &[Candidate], clip: Option<ClipSize>, json: bool) {
    let complete = candidates.iter().filter(|candidate| candidate.is_complete());
    let networks: Vec<Network<'_>> = complete.map(|candidate| built(candidate, clip)).collect();
    if json {
        file_json(file, &networks);
    } else {
        file_text(file, &networks);
    }
}

/// A network of a file, built for clips of a size; or why it does not take them.
type Network<'a> = (&'a Candidate, Result<Graph, ModelError>, Choice);

fn built(candidate: &Candidate, clip: Option<ClipSize>) -> Network<'_> {
    let choice = candidate.choice.clone().with_clip(clip);
    (candidate, choice.build(), choice)
}

fn file_json(file: &WeightsFile, networks: &[Network<'_>]) {
    let (num_values, bytes) = file.size();
    let tensors = file.checkpoint.tensors.iter();
    let rows =
        tensors.map(|(name, tensor)| json!({ "name": name, "shape": tensor.shape, "type": tensor.dtype.name() }));
    let network = |(candidate, graph, choice): &Network<'_>| {
        json!({
            "network": candidate.name,
            "backbone": choice.backbone,
            "map": candidate.project,
            "num_classes": choice.num_classes,
            "input": [choice.clip.channels, choice.clip.frames, choice.clip.height, choice.clip.width],
            "params": graph.as_ref().ok().map(|graph| Totals::of(graph).params),
            "macs": graph.as_ref().ok().map(Graph::macs),
            "error": graph.as_ref().err().map(ToString::to_string),
        })
    };
    render::print_json(&json!({
        "file": file.path,
        "notes": file.checkpoint.origin.notes(),
        "num_values": num_values,
        "bytes": bytes,
        "networks": networks.iter().map(network).collect::<Vec<_>>(),
        "tensors": rows.collect::<Vec<_>>(),
    }));
}

fn file_text(file: &WeightsFile, networks: &[Network<'_>]) {
    let (num_values, bytes) = file.size();
    let tensors = &file.checkpoint.tensors;
    let columns = [("tensor", Align::Left), ("type", Align::Left), ("shape", Align::Left), ("values", Align::Right)];
    let mut table = Table::new(columns);
    for (name, tensor) in tensors {
        let values = tensor.shape.iter().product::<usize>() as u64;
        table.row([printable(name), tensor.dtype.name().into(), shape_text(&tensor.shape), grouped(values)]);
    }
    table.print();
    render::print("");
    render::print(&format!("file        {}", file.path.display()));
    for note in file.checkpoint.origin.notes() {
        render::print(&format!("            {note}"));
    }
    render::print(&format!("tensors     {} ({})", grouped(tensors.len() as u64), file.types()));
    render::print(&format!("values      {}, {}", grouped(num_values), text::bytes(bytes)));
    if networks.is_empty() {
        render::print("network     unknown: no published network has exactly these tensors (see `pipe model verify`)");
    }
    for (candidate, graph, choice) in networks {
        render::print(&format!("network     {}", network_line(candidate)));
        let figures = match graph {
            Ok(graph) => {
                let (params, macs) = (grouped(Totals::of(graph).params), grouped(graph.macs()));
                format!("{params} parameters, {macs} multiply-adds per clip of {}", clip_text(choice))
            }
            Err(error) => error.to_string(),
        };
        render::print(&format!("            {figures}"));
    }
}

/// Returns the size of a clip.
fn clip_text(choice: &Choice) -> String {
    let clip = choice.clip;
    format!("{} of {}x{} px (width, height)", text::count(clip.frames as u64, "frame"), clip.width, clip.height)
}
