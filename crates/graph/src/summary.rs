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

    /// Returns the multiply-adds of convolutions and linear layers for one sample of a checked graph.
    ///
    /// This is what torchvision and MMAction2 list as FLOPs: a multiplication and its addition count once; biases,
    /// normalisations, activations, poolings and sums don't count.
    pub fn flops(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_flops(node)).fold(0, u64::saturating_add)
    }

    /// Returns the BLAKE3 digest of all that the graph says: names, operations, shapes, roles and starts.
    #[expect(clippy::missing_panics_doc, reason = "serialising these types can't fail")]
    pub fn digest(&self) -> blake3::Hash {
        // JSON of these types is one text for one graph: fields in the order of their declaration, no maps, strings quoted.
        let json = serde_json::to_vec(self).expect("a graph has no map with keys other than strings");
        let mut hasher = blake3::Hasher::new();
        hasher.update(DIGEST_PREFIX);
        hasher.update(&(json.len() as u64).to_le_bytes());
        hasher.update(&json);
        hasher.finalize()
    }

    /// Returns a table of a checked graph for people: a line a node, then the sums.
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{BatchNormParams, Builder, ClipShape, ConvParams, Init};

    /// One convolution, shifted, normalised and classified.
    pub(crate) fn tiny() -> Graph {
        let build = || {
            let mut g = Builder::new("tiny", ClipShape { channels: 1, frames: 2, height: 4, width: 4 })?;
            let x = g.frames_to_batch("frames", g.input())?;
            let conv =
                ConvParams { out_channels: 2, kernel: [3; 2], padding: [1; 2], bias: true, ..ConvParams::default() };
            let x = g.conv("conv1", x, conv)?;
            let x = g.batch_norm("bn1", x, BatchNormParams::default())?;
            let x = g.relu6("relu", x)?;
            let x = g.temporal_shift("shift", x, 2)?;
            let x = g.global_avg_pool("avgpool", x)?;
            let x = g.segment_mean("consensus", x)?;
            let x = g.dropout("dropout", x, 0.5)?;
            let x = g.linear("fc", x, 5, Init::Normal { std: 0.01 })?;
            g.finish(x, x)
        };
        build().expect("the network fits the clip")
    }

    #[test]
    fn sums_are_those_worked_out_by_hand() {
        let graph = tiny();
        // Convolution 2 * 9 + 2, normalisation 2 + 2 (running statistics don't count), classifier 5 * 2 + 5.
        assert_eq!(graph.num_params(), 20 + 4 + 15);
        // Two frames of 16 pixels, 2 filters of 9; then 5 classes of 2 features.
        assert_eq!(graph.flops(), 2 * 16 * 2 * 9 + 5 * 2);
    }

    #[test]
    fn the_digest_is_pinned() {
        // When this changes, trained networks are no longer found: change it only with the meaning of a graph.
        assert_eq!(
            tiny().digest().to_hex().as_str(),
            "cfa606e3be16fa96017c8bade3304169442a328fea0bf0920c9a17d0d25c1e92"
        );
    }

    #[test]
    fn the_digest_holds_everything() {
        let check = |change: fn(&mut Graph)| {
            let mut graph = tiny();
            change(&mut graph);
            assert_ne!(graph.digest(), tiny().digest());
        };
        check(|g| g.name.push('2'));
        check(|g| g.nodes[2].name.push('2'));
        check(|g| g.nodes[2].shape.dims[0] += 1);
        check(|g| g.nodes[8].op = Op::Dropout { ratio: 0.4 });
        check(|g| g.params[0].init = Init::Constant(0.0));
        check(|g| g.params[0].role = Role::Norm);
        check(|g| g.head.clear());
        check(|g| g.output.0 -= 1);
        assert_eq!(tiny().digest(), tiny().digest());
    }

    #[test]
    fn a_graph_survives_json() {
        let json = serde_json::to_string(&tiny()).expect("a graph can be written");
        assert_eq!(serde_json::from_str::<Graph>(&json).expect("it can be read"), tiny());
    }

    #[test]
    fn the_table_has_a_line_a_node() {
        let expect = "\
node       op               shape            values  FLOPs
clip       input            [N, 1, 2, 4, 4]       0      0
frames     frames to batch  [N*2, 1, 4, 4]        0      0
conv1      conv             [N*2, 2, 4, 4]       20    576
bn1        batch norm       [N*2, 2, 4, 4]        8      0
relu       relu6            [N*2, 2, 4, 4]        0      0
shift      temporal shift   [N*2, 2, 4, 4]        0      0
avgpool    global avg pool  [N*2, 2]              0      0
consensus  segment mean     [N, 2]                0      0
dropout    dropout          [N, 2]                0      0
fc         linear           [N, 5]               15     10
tiny: 39 trained values, 586 multiply-adds a sample
";
        assert_eq!(tiny().table(), expect);
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
    }
}
