//! What `pipe model diff` prints: each kind of difference with its tensors, then the counts.

use super::Differences;
use crate::commands::model::file::{WeightsFile, printable, shape_text};
use crate::render::table::{Align, Table};
use crate::render::{self, text};
use pipe_engine::grouped;
use pipe_weights::Tensor;
use serde_json::{Value, json};

/// Prints the differences for people; `top` tensors of each kind.
pub(super) fn text(a: &WeightsFile, b: &WeightsFile, differences: &Differences, top: usize) {
    let Differences { only_a, only_b, shapes, types, values, num_equal } = differences;
    for (letter, file) in [("a", a), ("b", b)] {
        let tensors = text::count(file.checkpoint.tensors.len() as u64, "tensor");
        render::print(&format!("{letter}  {}: {tensors}", file.path.display()));
        file.checkpoint.origin.notes().iter().for_each(|note| render::print(&format!("   {note}")));
    }
    let one = |(name, tensor): &(String, Tensor)| format!("{} {}", printable(name), shape_text(&tensor.shape));
    list("only in a", only_a, top, one);
    list("only in b", only_b, top, one);
    list("with different shapes", shapes, top, |(name, one, two)| {
        format!("{}: {} in a, {} in b", printable(name), shape_text(&one.shape), shape_text(&two.shape))
    });
    list("with different types", types, top, |(name, one, two)| {
        format!("{}: {} in a, {} in b", printable(name), one.dtype.name(), two.dtype.name())
    });
    if !values.is_empty() {
        render::print(&format!(
            "\n{} with different values, largest relative difference first:",
            tensors(values.len())
        ));
        let columns = [("  tensor", Align::Left), ("different", Align::Right), ("largest", Align::Right)];
        let mut table = Table::new(columns.into_iter().chain([("of the largest value", Align::Right)]));
        for (name, distance) in values.iter().take(top) {
            let count =
                format!("{} of {}", grouped(distance.num_different as u64), grouped(distance.num_values as u64));
            let numbers = [distance.max_abs, distance.relative()].map(|number| format!("{number:.2e}"));
            let [largest, relative] = numbers;
            table.row([format!("  {}", printable(name)), count, largest, relative]);
        }
        table.print();
        more(values.len(), top);
    }
    render::print(&format!("\n{} equal", count_of_equal(*num_equal)));
    if *num_equal == 0 && values.is_empty() && shapes.is_empty() && types.is_empty() && !only_a.is_empty() {
        render::print("No name is in both files. Files of different projects have different names.");
    }
}

fn tensors(count: usize) -> String {
    text::count(count as u64, "tensor")
}

fn count_of_equal(count: usize) -> String {
    text::count_of(count as u64, "tensor is", "tensors are")
}

fn list<T>(what: &str, items: &[T], top: usize, line: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    render::print(&format!("\n{} {what}:", tensors(items.len())));
    items.iter().take(top).for_each(|item| render::print(&format!("  {}", line(item))));
    more(items.len(), top);
}

fn more(count: usize, top: usize) {
    if count > top {
        render::print(&format!("  and {} more (`--top {count}` shows all)", grouped((count - top) as u64)));
    }
}

/// Prints one object with all differences.
pub(super) fn json(a: &WeightsFile, b: &WeightsFile, differences: &Differences) {
    let Differences { only_a, only_b, shapes, types, values, num_equal } = differences;
    let one = |(name, tensor): &(String, Tensor)| json!({ "name": name, "shape": tensor.shape });
    let file = |file: &WeightsFile| {
        json!({
            "file": file.path,
            "num_tensors": file.checkpoint.tensors.len(),
            "notes": file.checkpoint.origin.notes(),
        })
    };
    let shape = |(name, one, two): &(String, Tensor, Tensor)| json!({ "name": name, "a": one.shape, "b": two.shape });
    let dtype = |(name, one, two): &(String, Tensor, Tensor)| json!({ "name": name, "a": one.dtype.name(), "b": two.dtype.name() });
    // Infinity has no JSON form, and becomes null.
    let values: Vec<Value> = values
        .iter()
        .map(|(name, distance)| {
            json!({
                "name": name,
                "num_values": distance.num_values,
                "num_different": distance.num_different,
                "max_abs": distance.max_abs,
                "relative": distance.relative(),
            })
        })
        .collect();
    render::print_json(&json!({
        "a": file(a),
        "b": file(b),
        "only_a": only_a.iter().map(one).collect::<Vec<_>>(),
        "only_b": only_b.iter().map(one).collect::<Vec<_>>(),
        "shapes": shapes.iter().map(shape).collect::<Vec<_>>(),
        "types": types.iter().map(dtype).collect::<Vec<_>>(),
        "values": values,
        "num_equal": num_equal,
    }));
}
