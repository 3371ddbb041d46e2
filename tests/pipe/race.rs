//! Several `pipe` processes at the same time, and several stages at the same time.

use crate::space::{Space, run_output as parse};
use std::process::Stdio;

/// Writes a pipeline of a chain and a fan. Each stage leaves a mark whenever it runs.
fn pipeline(space: &Space) -> Vec<String> {
    let mut text = "pipeline: p\nstages:\n".to_owned();
    let mut names = Vec::new();
    let mut stage = |name: String, inputs: &str| {
        text += &format!(
            "  {name}: {{ uses: command, inputs: {{ {inputs} }}, with: {{ shell: 'echo {name} >> marks; sleep 0.05; echo {name} > \"${{outputs.r}}\"', outputs: {{ r: r }} }} }}\n"
        );
        names.push(name);
    };
    stage("c0".into(), "");
    (1..6).for_each(|link| stage(format!("c{link}"), &format!("before: c{}", link - 1)));
    (0..12).for_each(|leaf| stage(format!("f{leaf}"), "root: c0"));
    space.write("p.yaml", &text);
    names.sort();
    names
}

fn at_once(processes: usize) {
    let space = Space::new();
    let names = pipeline(&space);
    let start = |_| {
        let mut command = space.command(&["run", "p.yaml", "--output", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..processes).map(start).collect();
    let all: Vec<_> = children.into_iter().map(|child| parse(&child.wait_with_output().unwrap()).ok()).collect();
    let mut marks: Vec<String> =
        std::fs::read_to_string(space.path("marks")).unwrap().lines().map(str::to_owned).collect();
    marks.sort();
    assert_eq!(marks, names, "every action ran once in total");
    let ran: usize = all.iter().map(|run| run.stages("ran").len()).sum();
    assert_eq!(ran, names.len());
    assert!(all.windows(2).all(|pair| pair[0].digests() == pair[1].digests()));
}

#[test]
fn two_runs_at_once_do_each_action_once() {
    at_once(2);
}

#[test]
fn four_runs_at_once_do_each_action_once() {
    at_once(4);
}

#[test]
fn at_most_jobs_stages_run_at_once() {
    let space = Space::new();
    let leaf = |leaf: usize, limits: &str| {
        format!(
            "  f{leaf}: {{ uses: command, {limits} with: {{ shell: 'echo + >> marks; sleep 0.1; echo - >> marks; echo {leaf} > \"${{outputs.r}}\"', outputs: {{ r: r }} }} }}\n"
        )
    };
    let most = |jobs: &str, limits: &str| {
        let _ = std::fs::remove_file(space.path("marks"));
        let stages: String = (0..6).map(|number| leaf(number, limits)).collect();
        space.write("p.yaml", &format!("pipeline: p\nstages:\n{stages}"));
        let forced: Vec<String> = (0..6).flat_map(|leaf| ["--force".to_owned(), format!("f{leaf}")]).collect();
        let mut args = vec!["run", "p.yaml", "--jobs", jobs];
        args.extend(forced.iter().map(String::as_str));
        assert!(space.output(&args).status.success());
        let marks = std::fs::read_to_string(space.path("marks")).unwrap();
        let mut running = 0;
        let at_once = marks.lines().map(|mark| {
            running += if mark == "+" { 1 } else { -1 };
            running
        });
        at_once.max().unwrap()
    };
    assert_eq!([most("1", ""), most("3", ""), most("6", "")], [1, 3, 6]);
    assert_eq!(most("3", "resources: { cpus: 1000 },"), 1, "each stage asks for the whole machine");
}
