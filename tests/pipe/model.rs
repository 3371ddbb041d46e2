//! Random edits of random pipelines: exactly the stages that a naive model predicts run again.

use crate::space::Space;
use std::collections::{BTreeMap, BTreeSet};

/// A small random generator with a seed, so that a failure can be reproduced.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// A stage that concatenates its source file, a word and its inputs.
#[derive(Clone)]
struct Model {
    word: usize,
    source: usize,
    /// Indices of earlier stages.
    inputs: BTreeSet<usize>,
    /// Whether the output is only the length of the text, so that many changes stop here.
    dull: bool,
}

const NUM_STAGES: usize = 7;

fn yaml(stages: &[Model], order: &[usize]) -> String {
    let mut text = "pipeline: p\nstages:\n".to_owned();
    for &stage in order {
        let Model { word, inputs, dull, .. } = &stages[stage];
        let names: Vec<String> = inputs.iter().map(|input| format!("i{input}: s{input}")).collect();
        let paths: Vec<String> = inputs.iter().map(|input| format!("\"${{inputs.i{input}}}\"")).collect();
        let end = if *dull { " | wc -c" } else { "" };
        text += &format!(
            "  s{stage}:\n    uses: command\n    sources: [in/s{stage}]\n    inputs: {{ {} }}\n    with: {{ env: {{ W: w{word} }}, \
             shell: '(echo $W; cat in/s{stage} {}){end} > \"${{outputs.r}}\"', outputs: {{ r: r }} }}\n",
            names.join(", "),
            paths.join(" ")
        );
    }
    text
}

/// Returns the output of each stage, and everything that determines it.
fn naive(stages: &[Model]) -> (Vec<String>, Vec<String>) {
    let (mut outputs, mut keys): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (number, stage) in stages.iter().enumerate() {
        let inputs: String = stage.inputs.iter().map(|&input| outputs[input].clone()).collect();
        let whole = format!("w{}\n{}\n{inputs}", stage.word, stage.source);
        outputs.push(if stage.dull { format!("{}\n", whole.len()) } else { whole });
        let ports: Vec<String> = stage.inputs.iter().map(|&input| format!("{input}={}", outputs[input])).collect();
        keys.push(format!("{number} {} {} {} {ports:?}", stage.word, stage.source, stage.dull));
    }
    (outputs, keys)
}

fn edit(stages: &mut [Model], dice: &mut Dice) {
    let stage = dice.below(NUM_STAGES);
    match dice.below(4) {
        0 => stages[stage].word = dice.below(3),
        1 => stages[stage].source = dice.below(30),
        2 if stage > 0 => {
            let input = dice.below(stage);
            if !stages[stage].inputs.remove(&input) {
                stages[stage].inputs.insert(input);
            }
        }
        _ => stages[stage].dull = !stages[stage].dull,
    }
}

#[test]
fn after_a_random_edit_exactly_the_affected_stages_run() {
    for seed in 0..4 {
        let (space, mut dice) = (Space::new(), Dice(seed));
        let mut stages: Vec<Model> = (0..NUM_STAGES)
            .map(|stage| {
                let inputs = (0..stage).filter(|_| dice.below(3) == 0).collect();
                Model { word: 0, source: stage, inputs, dull: dice.below(3) == 0 }
            })
            .collect();
        let mut known: BTreeSet<String> = BTreeSet::new();
        for round in 0..12 {
            (0..dice.below(3)).for_each(|_| edit(&mut stages, &mut dice));
            for (number, stage) in stages.iter().enumerate() {
                space.write(&format!("in/s{number}"), &format!("{}\n", stage.source));
            }
            let mut order: Vec<usize> = (0..NUM_STAGES).collect();
            order.rotate_left(dice.below(NUM_STAGES));
            space.write("p.yaml", &yaml(&stages, &order));
            let (outputs, keys) = naive(&stages);
            let run = space.run("p.yaml", &[]).ok();
            let expect: Vec<String> = (0..NUM_STAGES)
                .filter(|&stage| known.insert(keys[stage].clone()))
                .map(|stage| format!("s{stage}"))
                .collect();
            assert_eq!(run.stages("ran"), expect, "seed {seed}, round {round}");
            let found: BTreeMap<usize, String> = (0..NUM_STAGES)
                .map(|stage| (stage, std::fs::read_to_string(space.path(&format!(".pipe/out/p/s{stage}/r"))).unwrap()))
                .collect();
            assert!(found.values().eq(outputs.iter()), "seed {seed}, round {round}: {found:?} {outputs:?}");
        }
    }
}
