//! [`Graph::digest`]: the identity of a network in keys and in the model card.
//!
//! The digest is BLAKE3 of `pipe-graph 1\n`, the length of the canonical text as 8 little-endian bytes, and the canonical text.
//! The text is JSON without whitespace, with keys in this order:
//!
//! ```text
//! {"name":"tiny",
//!  "nodes":[{"name":"conv1","op":{"Conv":{"weight":0,"bias":null,"stride":[1,1],"padding":[0,0],"groups":1}},"inputs":[1],
//!            "shape":{"per_sample":2,"dims":[2,4,4]}},…],
//!  "params":[{"name":"conv1.weight","shape":[2,1,3,3],"role":"Weight","init":"KaimingFanOut"},…],
//!  "output":9,"head":[5,6]}
//! ```
//!
//! A network with a second classifier has `"auxiliary":{"output":12,"loss_weight":0.4}` at the end. An op is its name and an object: first the tensor of each slot (an index into `params`, `null` for an empty slot), then the
//! fields of its struct in the order of their declaration. An op without slots and fields is its name alone. Trained networks are
//! found again only if their digest stays the same. Therefore a field that is added to an existing op must not be serialised while
//! it has its default (`#[serde(skip_serializing_if = …)]`), and fields are not renamed or reordered.

use crate::{Auxiliary, Graph, Node};
use serde_json::{Map, Value, json};

/// Precedes the canonical text; changes with the meaning of a graph.
const DIGEST_PREFIX: &[u8] = b"pipe-graph 1\n";

impl Graph {
    /// Returns the BLAKE3 digest of everything in the graph: names, ops, shapes, roles and initial values.
    pub fn digest(&self) -> blake3::Hash {
        let text = self.canonical_text();
        let mut hasher = blake3::Hasher::new();
        hasher.update(DIGEST_PREFIX);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        hasher.finalize()
    }

    fn canonical_text(&self) -> String {
        let node =
            |node: &Node| json!({ "name": node.name, "op": op(node), "inputs": node.inputs, "shape": node.shape });
        let nodes: Vec<Value> = self.nodes.iter().map(node).collect();
        let mut graph = json!({
            "name": self.name,
            "nodes": nodes,
            "params": self.params,
            "output": self.output,
            "head": self.head,
        });
        if let Some(Auxiliary { output, loss_weight }) = self.auxiliary {
            graph["auxiliary"] = json!({ "output": output, "loss_weight": loss_weight });
        }
        graph.to_string()
    }
}

fn op(node: &Node) -> Value {
    let slot = |slot: &&'static str| ((*slot).to_owned(), json!(node.param(slot).map(|id| id.0)));
    let mut content: Map<String, Value> = node.op.slots().iter().map(slot).collect();
    if let Value::Object(attributes) = node.op.attributes() {
        content.extend(attributes);
    }
    if content.is_empty() { json!(node.op.name()) } else { json!({ node.op.name(): content }) }
}
