//! What a network costs, and the digest that stands for it in keys.

use crate::{Graph, Node, Op, Role, Shape};
use std::fmt::Write;

/// Stands before the serialised graph in its digest; changes whenever the meaning of a graph does.
const DIGEST_PREFIX: &[u8] = b"pipe-graph 1\n";

impl Graph {
    /// Returns how many values are trained; running statistics are not among them.
    pub fn num_params(&self) -> usize {
        self.params.iter().filter(|param| param.role != Role::Buffer).map(crate::Param::len).sum()
    }

    /// Returns the multiply-adds of convolutions and linear layers for one sample.
    ///
    /// This is what torchvision and MMAction2 list as FLOPs: a multiplication and its addition count once; biases,
    /// normalisations, activations, poolings and sums don't count.
    pub fn flops(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_flops(node)).fold(0, u64::saturating_add)
    }

    /// Returns the BLAKE3 digest of all that the graph says: names, operations, shapes, roles and starts.
    pub fn digest(&self) -> blake3::Hash {
        // JSON of these types is one text for one graph: fields in the order of their declaration, no maps, strings quoted.
        let json = serde_json::to_vec(self).expect("a graph has no map with keys other than strings");
        let mut hasher = blake3::Hasher::new();
        hasher.update(DIGEST_PREFIX);
        hasher.update(&(json.len() as u64).to_le_bytes());
        hasher.update(&json);
        hasher.finalize()
    }

    /// Returns a table for people: a line a node, then the sums.
    pub fn table(&self) -> String {
        let row = |node: &Node| {
            let params: usize = node.op.params().iter().map(|id| self.params[id.0].len()).sum();
            [
                node.name.clone(),
                op_name(&node.op).into(),
                shape_text(&node.shape),
                count(params as u64),
                count(self.node_flops(node)),
            ]
        };
        let header = ["node", "op", "shape", "values", "FLOPs"].map(String::from);
        let rows: Vec<[String; 5]> = std::iter::once(header).chain(self.nodes.iter().map(row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let mut text = String::new();
        for [name, op, shape, params, flops] in &rows {
            let [a, b, c, d, e] = widths;
            // Writing into a string can't fail.
            let _ = writeln!(text, "{name:<a$}  {op:<b$}  {shape:<c$}  {params:>d$}  {flops:>e$}");
        }
        let (params, flops) = (count(self.num_params() as u64), count(self.flops()));
        let _ = writeln!(text, "{}: {params} trained values, {flops} multiply-adds a sample", self.name);
        text
    }

    fn node_flops(&self, node: &Node) -> u64 {
        let (Op::Conv { weight, .. } | Op::Linear { weight, .. }) = &node.op else { return 0 };
        // Each value of the result is a sum over one filter: all of the weight but its first axis.
        let filter: usize = self.params[weight.0].shape.iter().skip(1).product();
        (node.shape.values_per_sample() as u64).saturating_mul(filter as u64)
    }
}

fn op_name(op: &Op) -> &'static str {
    match op {
        Op::Input => "input",
        Op::FramesToBatch => "frames to batch",
        Op::Conv { .. } => "conv",
        Op::BatchNorm { .. } => "batch norm",
        Op::Relu => "relu",
        Op::Relu6 => "relu6",
        Op::MaxPool { .. } => "max pool",
        Op::GlobalAvgPool => "global avg pool",
        Op::SegmentMean => "segment mean",
        Op::Linear { .. } => "linear",
        Op::Add => "add",
        Op::Dropout { .. } => "dropout",
        Op::TemporalShift { .. } => "temporal shift",
    }
}

fn shape_text(shape: &Shape) -> String {
    let batch = match shape.per_sample {
        1 => "N".to_owned(),
        rows => format!("N*{rows}"),
    };
    let axes: Vec<String> = std::iter::once(batch).chain(shape.dims.iter().map(usize::to_string)).collect();
    format!("[{}]", axes.join(", "))
}

/// `1234567` → `1,234,567`.
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
