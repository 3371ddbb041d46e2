//! [`splits`]: slices that divide a tensor between them, such as queries, keys and values of an attention.
//!
//! Training computes them together. The backward pass of a slice fills a tensor of the size of the whole with zeros, and those of all
//! slices are added up; the backward pass of a split only puts the parts side by side.

use crate::convert::dims;
use pipe_graph::ops::slice::Slice;
use pipe_graph::{Graph, Op};
use tch::{TchError, Tensor};

/// How the result of a node is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    /// The axis, with that of the batch.
    axis: usize,
    /// The sizes of the parts.
    sizes: Vec<usize>,
    /// The nodes of the parts.
    parts: Vec<usize>,
}

impl Split {
    /// Returns the parts of `whole` with their nodes.
    pub(crate) fn of(&self, whole: &Tensor) -> Result<impl Iterator<Item = (usize, Tensor)>, TchError> {
        let parts = whole.f_split_with_sizes(dims(&self.sizes), self.axis as i64)?;
        Ok(self.parts.iter().copied().zip(parts))
    }
}

/// Returns, for each node, how its result is divided: by slices of one axis that cover it, and by nothing else.
pub(crate) fn splits(graph: &Graph) -> Vec<Option<Split>> {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (position, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            readers[input.0].push(position);
        }
    }
    readers.into_iter().enumerate().map(|(whole, readers)| split(graph, whole, readers)).collect()
}

fn split(graph: &Graph, whole: usize, mut readers: Vec<usize>) -> Option<Split> {
    let slice = |position: &usize| if let Op::Slice(slice) = &graph.nodes[*position].op { Some(*slice) } else { None };
    readers.sort_by_key(|position| slice(position).map(|slice| slice.start));
    let slices: Vec<Slice> = readers.iter().map(slice).collect::<Option<_>>()?;
    let [first, _, ..] = slices.as_slice() else { return None };
    let shape = &graph.nodes[whole].shape;
    let (mut end, axis) = (0, first.axis);
    for slice in &slices {
        if slice.axis != axis || slice.step != 1 || slice.start != end {
            return None;
        }
        end = slice.end;
    }
    let is_output = graph.output.0 == whole || graph.auxiliary.is_some_and(|auxiliary| auxiliary.output.0 == whole);
    (shape.dims.get(axis) == Some(&end) && !is_output).then(|| Split {
        axis: axis + shape.batch_axes(),
        sizes: slices.iter().map(|slice| slice.end - slice.start).collect(),
        parts: readers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_graph::ops::add::Add;
    use pipe_graph::ops::flatten::Flatten;
    use pipe_graph::ops::linear::LinearParams;
    use pipe_graph::{Builder, ClipShape, Init, NodeId};

    /// Returns the sizes of the parts of 6 values that are sliced.
    fn sizes(slices: &[[usize; 3]]) -> Option<Vec<usize>> {
        let mut g =
            Builder::new("slices", ClipShape { channels: 3, frames: 2, height: 1, width: 1 }).expect("a builder");
        let x = g.node("flat", g.input(), Flatten).expect("flat");
        let slice = |g: &mut Builder, (index, [start, end, step]): (usize, &[usize; 3])| {
            let op = Slice { axis: 0, start: *start, end: *end, step: *step };
            g.node(&format!("part{index}"), x, op).expect("a slice")
        };
        let parts: Vec<NodeId> = slices.iter().enumerate().map(|part| slice(&mut g, part)).collect();
        let sum = g.node("sum", [parts[0], *parts.last().expect("a part")], Add).expect("a sum");
        let fc = LinearParams { out_features: 2, init: Init::Constant(1.0), bias: false };
        let fc = g.node("fc", sum, fc).expect("logits");
        let graph = g.finish(fc, fc).expect("a graph");
        splits(&graph).into_iter().flatten().next().map(|split| split.sizes)
    }

    #[test]
    fn slices_that_cover_a_tensor_are_a_split() {
        assert_eq!(sizes(&[[0, 2, 1], [2, 4, 1], [4, 6, 1]]), Some(vec![2, 2, 2]));
        // In any order.
        assert_eq!(sizes(&[[2, 4, 1], [0, 2, 1], [4, 6, 1]]), Some(vec![2, 2, 2]));
        assert_eq!(sizes(&[[0, 2, 1], [4, 6, 1]]), None, "a gap");
        assert_eq!(sizes(&[[0, 4, 1], [2, 6, 1]]), None, "an overlap");
        assert_eq!(sizes(&[[0, 2, 1], [2, 4, 1]]), None, "a rest");
        assert_eq!(sizes(&[[0, 6, 2], [0, 6, 2]]), None, "with steps");
        assert_eq!(sizes(&[[0, 6, 1]]), None, "one slice");
    }
}
