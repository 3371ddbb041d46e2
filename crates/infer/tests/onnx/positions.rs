//! Biases of attention by relative positions, compared with values computed by hand.

use crate::{check, clip, engines, session, until_here};
use pipe_graph::ops::{
    add::Add, decomposed_rel_pos::DecomposedRelPos, rel_pos_bias::RelPosBias, reshape::Reshape, table::TableParams,
    window_mask::WindowMask,
};
use pipe_graph::{Builder, Graph, GraphError};

/// Adds the bias and the mask of two windows of two tokens to the logits of two heads.
fn windows() -> Result<Graph, GraphError> {
    let mut g = Builder::new("windows", clip(2, 2, 2, 2))?;
    let mask = g.node("mask", [], WindowMask { size: [1, 1, 4], window: [1, 1, 2], shift: [0, 0, 1] })?;
    let table = g.node("table", [], TableParams::zeros(&[3, 2]))?;
    let bias = g.node("bias", table, RelPosBias { full_window: [1, 1, 2], window: [1, 1, 2] })?;
    let x = g.node("biased", [g.input(), bias], Add)?;
    let x = g.node("masked", [x, mask], Add)?;
    Ok(until_here(g, x))
}

#[test]
fn windows_have_a_bias_per_head_and_a_mask() {
    for engine in engines() {
        // A row per offset -1, 0 and 1; a column per head.
        let table: &[f32] = &[1., 10., 2., 20., 3., 30.];
        let mut session = session(engine.as_ref(), &windows().expect("a graph"), &[("table", table)]);
        let heads = [2., 1., 3., 2., 20., 10., 30., 20.];
        // The last token of the second window is the first one of the features.
        let apart = [2., -99., -97., 2., 20., -90., -70., 20.];
        let expect = [heads, apart].concat();
        check(&session.run("clip", [1, 2, 2, 2, 2], vec![0.0; 16]).expect("it runs"), &[1, 2, 2, 2, 2], &expect);
    }
}

/// Two queries in a row and one key.
fn decomposed(class_token: bool) -> Result<Graph, GraphError> {
    let len = 2 + usize::from(class_token);
    let mut g = Builder::new("positions", clip(1, 1, len, 2))?;
    let x = g.node("queries", g.input(), Reshape { per_sample: 1, dims: vec![len, 2] })?;
    let mut inputs = vec![x];
    for (name, rows) in [("h", 1), ("w", 3), ("t", 1)] {
        inputs.push(g.node(name, [], TableParams::zeros(&[rows, 2]))?);
    }
    let x = g.node("bias", inputs, DecomposedRelPos { heads: 1, queries: [1, 1, 2], keys: [1; 3], class_token })?;
    Ok(until_here(g, x))
}

#[test]
fn positions_are_products_of_queries_and_tables() {
    for engine in engines() {
        let tables: [(&str, &[f32]); 3] = [("h", &[1., 0.]), ("w", &[100., 0., 0., 1000., 5., 5.]), ("t", &[0., 10.])];
        // 1 * 1 + 1 * 100 + 2 * 10, and 3 * 1 + 4 * 1000 + 4 * 10.
        let mut plain = session(engine.as_ref(), &decomposed(false).expect("a graph"), &tables);
        let data = vec![1., 2., 3., 4.];
        check(&plain.run("clip", [1, 1, 1, 2, 2], data).expect("it runs"), &[1, 1, 2, 1], &[121., 4043.]);

        let mut with_class = session(engine.as_ref(), &decomposed(true).expect("a graph"), &tables);
        let data = vec![7., 7., 1., 2., 3., 4.];
        let expect = [0., 0., 0., 121., 0., 4043.];
        check(&with_class.run("clip", [1, 1, 1, 3, 2], data).expect("it runs"), &[1, 1, 3, 2], &expect);
    }
}
