//! The size and cost of a network.

use crate::check::operands;
use crate::{Graph, Node, Param, Role, Shape};
use std::fmt::Write;

impl Graph {
    /// Returns the number of trained values, without running statistics.
    pub fn num_params(&self) -> usize {
        self.params.iter().filter(|param| param.role != Role::Buffer).map(Param::len).sum()
    }

    /// Returns the multiply-adds of a checked graph for one sample at inference.
    ///
    /// torchvision and MMAction2 publish this figure as FLOPs: a multiplication and its addition count once; biases,
    /// normalisations, activations, poolings and sums are not counted.
    pub fn macs(&self) -> u64 {
        let used = self.nodes.iter().zip(self.used_at_inference()).filter(|(_, used)| *used);
        used.map(|(node, _)| self.node_macs(node)).fold(0, u64::saturating_add)
    }

    /// Returns a checked graph as a table for people: one line per node, then the totals.
    pub fn table(&self) -> String {
        let row = |node: &Node| {
            let values: usize = node.params.iter().map(|param| self.params[param.id.0].len()).sum();
            [
                node.name.clone(),
                node.op.name().into(),
                shape_text(&node.shape),
                count(values as u64),
                count(self.node_macs(node)),
            ]
        };
        let header = ["node", "op", "shape", "values", "MACs"].map(String::from);
        let rows: Vec<[String; 5]> = std::iter::once(header).chain(self.nodes.iter().map(row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let mut text = String::new();
        for [name, op, shape, values, macs] in &rows {
            let [a, b, c, d, e] = widths;
            // Writing into a string can't fail.
            let _ = writeln!(text, "{name:<a$}  {op:<b$}  {shape:<c$}  {values:>d$}  {macs:>e$}");
        }
        let (params, macs) = (count(self.num_params() as u64), count(self.macs()));
        let _ = writeln!(text, "{}: {params} trained values, {macs} multiply-adds per sample", self.name);
        text
    }

    /// Returns the multiply-adds of a node of a checked graph for one sample.
    pub fn node_macs(&self, node: &Node) -> u64 {
        // Every id of a checked graph exists.
        operands(node, &self.nodes, &self.params).map_or(0, |operands| node.op.operation().macs(&operands, &node.shape))
    }
}

fn shape_text(shape: &Shape) -> String {
    let batch = match shape.per_sample {
        0 => None,
        1 => Some("N".to_owned()),
        rows => Some(format!("N*{rows}")),
    };
    let axes: Vec<String> = batch.into_iter().chain(shape.dims.iter().map(usize::to_string)).collect();
    format!("[{}]", axes.join(", "))
}

/// Formats a number with thousands separators: `1,234,567`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
