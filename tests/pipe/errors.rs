//! Typical errors, as snapshots: someone who has never seen `pipe` must understand what is wrong and what to do.

use crate::snapshot;
use crate::space::Space;

const VIDEOS: &str = "  videos: { uses: ingest, with: { root: videos } }\n";

/// Compares what `pipe run` shows for a pipeline with these stages.
fn check(name: &str, stages: &str) {
    let space = Space::new();
    std::fs::create_dir(space.path("videos")).unwrap();
    space.write("p.yaml", &format!("pipeline: p\nstages:\n{stages}"));
    snapshot::check_command(&space, &format!("error_{name}"), &["run", "p.yaml"]);
}

#[test]
fn misspelt_stage_key() {
    check("misspelt_stage_key", "  videos: { use: ingest, with: { root: videos } }\n");
}

#[test]
fn misspelt_stage_kind() {
    check("misspelt_stage_kind", "  videos: { uses: injest, with: { root: videos } }\n");
}

#[test]
fn misspelt_parameter() {
    check("misspelt_parameter", "  videos: { uses: ingest, with: { root: videos, incldue: [\"*.mp4\"] } }\n");
}

#[test]
fn wrong_type() {
    check("wrong_type", "  videos: { uses: ingest, with: { root: videos, include: 3 } }\n");
}

#[test]
fn value_out_of_range() {
    let frames =
        "  frames: { uses: frames, inputs: { videos: videos }, with: { encode: { jpeg: { quality: 900 } } } }\n";
    check("value_out_of_range", &format!("{VIDEOS}{frames}"));
}

#[test]
fn missing_input() {
    check("missing_input", &format!("{VIDEOS}  frames: {{ uses: frames }}\n"));
}

#[test]
fn unknown_input_stage() {
    check("unknown_input_stage", &format!("{VIDEOS}  frames: {{ uses: frames, inputs: {{ videos: vidoes }} }}\n"));
}

#[test]
fn wrong_port_type() {
    let samples = "  samples: { uses: augment, inputs: { frames: videos, labels: videos } }\n";
    check("wrong_port_type", &format!("{VIDEOS}{samples}"));
}

#[test]
fn cycle() {
    let stage = |name: &str, input: &str| {
        format!(
            "  {name}: {{ uses: command, inputs: {{ i: {input} }}, with: {{ run: [cp, \"${{inputs.i}}\", \"${{outputs.r}}\"], outputs: {{ r: r }} }} }}\n"
        )
    };
    check("cycle", &[stage("a", "b.r"), stage("b", "c.r"), stage("c", "a.r")].concat());
}

#[test]
fn missing_data_folder() {
    check("missing_data_folder", "  videos: { uses: ingest, with: { root: data/videos } }\n");
}

#[test]
fn undefined_variable() {
    check("undefined_variable", "  videos: { uses: ingest, with: { root: \"${data}/videos\" } }\n");
}

#[test]
fn failing_command() {
    let with = "{ shell: \"echo reading the table; echo no column label >&2; exit 3\", outputs: { r: r.csv } }";
    check("failing_command", &format!("  convert: {{ uses: command, with: {with} }}\n"));
}

#[test]
fn command_without_its_output() {
    check(
        "command_without_its_output",
        "  convert: { uses: command, with: { run: [\"true\"], outputs: { r: r.csv } } }\n",
    );
}

#[test]
fn unknown_program() {
    check("unknown_program", "  convert: { uses: command, with: { run: [pyhton3], outputs: { r: r.csv } } }\n");
}

#[test]
fn wrong_arguments() {
    let space = Space::new();
    std::fs::create_dir(space.path("videos")).unwrap();
    space.write("p.yaml", &format!("pipeline: p\nstages:\n{VIDEOS}"));
    let check = |name: &str, args: &[&str]| snapshot::check_command(&space, &format!("error_{name}"), args);
    check("no_arguments", &[]);
    check("unknown_command", &["rnu", "p.yaml"]);
    check("unknown_file", &["run", "absent.yaml"]);
    check("set_without_value", &["run", "p.yaml", "--set", "vars.data"]);
    check("set_unknown_path", &["run", "p.yaml", "--set", "stages.vidoes.with.root=x"]);
    check("unknown_stage", &["run", "p.yaml", "vidoes"]);
    check("no_lock_file", &["run", "p.yaml", "--locked"]);
    check("no_remote", &["run", "p.yaml", "--push"]);
    check("wrong_remote", &["run", "p.yaml", "--remote", "http://user:secret@host/x"]);
    check("unknown_run", &["show", "2026"]);
    check("no_run", &["show"]);
    check("no_log", &["logs", "videos"]);
    check("no_result", &["ls", "p/videos"]);
    check("wrong_size", &["cache", "gc", "--max-size", "20G"]);
    check("no_store", &["cache", "stats", "--store", "elsewhere"]);
}

#[test]
fn file_that_is_not_a_pipeline() {
    let space = Space::new();
    let check = |name: &str, text: &str| {
        space.write("p.yaml", text);
        snapshot::check_command(&space, &format!("error_{name}"), &["run", "p.yaml"]);
    };
    check("empty_file", "");
    check("broken_yaml", "pipeline: p\nstages: [\n");
    check("no_stages", "pipeline: p\n");
}
