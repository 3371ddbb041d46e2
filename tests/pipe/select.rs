//! Selecting stages: names, `--until`, `--force`, `--keep-going`, `matrix`; and `pipe plan` and `pipe why`.

use crate::space::Space;

/// `d` reads `b` and `c`, which both read `a`; `e` is independent.
const DIAMOND: &str = r#"pipeline: p
stages:
  a: { uses: command, with: { shell: 'echo a > "${outputs.r}"', outputs: { r: r } } }
  b: { uses: command, inputs: { a: a }, with: { run: [cp, "${inputs.a}", "${outputs.r}"], outputs: { r: b } } }
  c: { uses: command, inputs: { a: a }, with: { run: [cp, "${inputs.a}", "${outputs.r}"], outputs: { r: c } } }
  d: { uses: command, inputs: { b: b, c: c }, with: { run: [cp, "${inputs.b}", "${outputs.r}"], outputs: { r: d } } }
  e: { uses: command, with: { run: [cp, /dev/null, "${outputs.r}"], outputs: { r: e } } }
"#;

fn ran(space: &Space, args: &[&str]) -> (Option<i32>, Vec<String>, Vec<String>, Vec<String>) {
    let args = [&["run", "p.yaml", "--output", "json"], args].concat();
    let run = crate::space::run_output(&space.output(&args));
    (run.code, run.stages("ran"), run.stages("failed"), run.stages("skipped"))
}

fn names(names: &str) -> Vec<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn selected_stages_run_with_the_stages_that_they_need() {
    let space = Space::new();
    space.write("p.yaml", DIAMOND);
    assert_eq!(ran(&space, &["b"]), (Some(0), names("a b"), names(""), names("")));
    assert_eq!(ran(&space, &["--until", "c"]).1, names("c e"), "`d` depends on `c`");
    assert_eq!(ran(&space, &["--force", "a"]).1, names("a d"), "the inputs of `b` and `c` are unchanged");
    assert_eq!(ran(&space, &["--force", "d", "d", "e"]).1, names("d"));
    let output = space.output(&["run", "p.yaml", "bb"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no stage `bb`; it has `b`"));
}

#[test]
fn a_selection_that_selects_nothing_is_an_error() {
    let space = Space::new();
    space.write("p.yaml", DIAMOND);
    let check = |args: &[&str], expect: &str| {
        let output = space.output(&[&["run", "p.yaml"], args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(expect), "{args:?}: {stderr}");
    };
    check(&["d", "--until", "a"], "`--until` leaves out `d`: it depends on `a`");
    check(&["e", "d", "--until", "b", "--until", "c"], "leaves out `d`: it depends on `b` and `c`");
    check(&["b", "--force", "d"], "`--force d` has no effect");
    check(&["--until", "b", "--force", "d"], "`--force d` has no effect");
    check(&["b", "--check", "d"], "`--check d` has no effect");
    check(&["e", "--until", "x"], "no stage `x`");
}

#[test]
fn names_that_are_too_long_for_a_file_are_mistakes() {
    let space = Space::new();
    let long = "x".repeat(201);
    let stage = |name: &str, value: &str, output: &str| {
        format!("  {name}: {{ uses: command, with: {{ run: [echo, \"{value}\"], outputs: {{ {output}: o }} }} }}\n")
    };
    let check = |text: &str, expect: &str| {
        space.write("p.yaml", text);
        let output = space.output(&["plan", "p.yaml"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.replace("\n  |", "").contains(expect), "{stderr}");
    };
    check(&format!("pipeline: {long}\nstages:\n{}", stage("a", "x", "o")), "the name of the pipeline");
    check(&format!("pipeline: p\nstages:\n{}", stage(&long, "x", "o")), "the name of the stage");
    check(&format!("pipeline: p\nstages:\n{}", stage("a", "x", &long)), "the name of the output");
    let matrix = format!("pipeline: p\nmatrix: {{ n: [{long}, b] }}\nstages:\n{}", stage("a", "${n}", "o"));
    check(&matrix, "choose shorter matrix values");
}

#[test]
fn a_failure_stops_the_run_or_with_keep_going_only_dependents() {
    let space = Space::new();
    space.write(
        "p.yaml",
        &DIAMOND.replace(r#"[cp, "${inputs.a}", "${outputs.r}"], outputs: { r: b }"#, "[false], outputs: { r: b }"),
    );
    let (code, ran_now, failed, skipped) = ran(&space, &["--jobs", "1"]);
    assert_eq!((code, failed), (Some(1), names("b")));
    assert!(skipped.contains(&"d".to_owned()), "{ran_now:?} {skipped:?}");
    let (code, _, failed, skipped) = ran(&space, &["--keep-going"]);
    assert_eq!((code, failed, skipped), (Some(1), names("b"), names("d")));
}

#[test]
fn a_matrix_copies_stages_that_use_it_and_their_readers() {
    let space = Space::new();
    space.write(
        "p.yaml",
        r#"pipeline: p
vars: { text: "value ${n}" }
matrix: { n: [1, 2.5] }
stages:
  base: { uses: command, with: { run: [cp, /dev/null, "${outputs.r}"], outputs: { r: r } } }
  each: { uses: command, inputs: { base: base }, with: { shell: 'echo ${text} > "${outputs.r}"', outputs: { r: r } } }
  next: { uses: command, inputs: { each: each.r }, with: { run: [cp, "${inputs.each}", "${outputs.r}"], outputs: { r: r } } }
  last: { uses: command, inputs: { each: "each@n=2.5" }, with: { run: [cp, "${inputs.each}", "${outputs.r}"], outputs: { r: last } } }
"#,
    );
    let (code, ran_now, ..) = ran(&space, &[]);
    assert_eq!((code, ran_now), (Some(0), names("base each@n=1 each@n=2.5 last next@n=1 next@n=2.5")));
    let read = |stage: &str| {
        std::fs::read_to_string(space.path(".pipe/out/p").join(stage).join(if stage == "last" { stage } else { "r" }))
            .unwrap()
    };
    assert_eq!([read("next@n=1"), read("next@n=2.5"), read("last")], ["value 1\n", "value 2.5\n", "value 2.5\n"]);
    assert_eq!(ran(&space, &["--force", "each", "next"]).1, names("each@n=1 each@n=2.5"));
}

#[test]
fn plan_draws_stages_and_ports() {
    let space = Space::new();
    space.write("p.yaml", DIAMOND);
    space.run("p.yaml", &["stages.d=null"]).ok();
    let graph =
        String::from_utf8(space.output(&["plan", "p.yaml", "--graph", "--set", "stages.e.with.outputs.r=f"]).stdout);
    let graph = graph.unwrap();
    let lines: Vec<&str> = graph.lines().map(str::trim).collect();
    assert_eq!(lines[0], "flowchart LR");
    for line in [
        "s0[\"a<br/><i>command</i>\"]:::hit",
        "s3[\"d<br/><i>command</i>\"]:::run",
        "s4[\"e<br/><i>command</i>\"]:::run",
        "s0 -->|\"r → a\"| s1",
        "s1 -->|\"r → b\"| s3",
        "s2 -->|\"r → c\"| s3",
    ] {
        assert!(lines.contains(&line), "{line}\n{graph}");
    }
    assert_eq!(lines.iter().filter(|line| line.contains("-->")).count(), 4);
}

#[test]
fn plan_and_why_print_every_change_without_running() {
    let space = Space::new();
    space.write("p.yaml", &DIAMOND.replace("  e:", "  f: { uses: command, sources: [\"data/*\"], with: { shell: 'cat data/* > \"${outputs.r}\"', outputs: { r: f } } }\n  e:"));
    for file in ["1", "2", "3", "4", "5"] {
        space.write(&format!("data/{file}"), file);
    }
    let stdout = |args: &[&str]| String::from_utf8(space.output(args).stdout).unwrap();
    assert!(stdout(&["plan", "p.yaml"]).contains("0 hits, 3 to run, 3 undecided until these have run"));
    space.run("p.yaml", &[]).ok();
    assert!(stdout(&["plan", "p.yaml"]).contains("6 hits, 0 to run"));
    assert_eq!(stdout(&["why", "p.yaml"]), "every stage is up to date; nothing would run\n");
    for file in ["1", "2", "3", "4", "6"] {
        space.write(&format!("data/{file}"), "new");
    }
    let set = ["--set", "stages.d.with.env.X=1", "--set", "stages.a.with.outputs.r=rr"];
    let why = stdout(&[&["why", "p.yaml"], set.as_slice()].concat());
    let expect = [
        "with.outputs.r: \"r\" → \"rr\"",
        "6: added",
        "1: changed",
        "2: changed",
        "3: changed",
        "4: changed",
        "undecided until these have run: b, c",
    ];
    for line in expect {
        assert!(why.contains(line), "{line}: {why}");
    }
    assert!(stdout(&["plan", "p.yaml"]).contains("4 files changed"));
    let json = stdout(&["plan", "p.yaml", "--output", "json"]);
    let stages: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let state = |name: &str| stages.iter().find(|stage| stage["stage"] == name).unwrap()["state"].clone();
    assert_eq!([state("a"), state("f")], ["hit", "miss"]);
    assert_eq!(space.run("p.yaml", &[]).ok().stages("ran"), ["f"], "nothing ran before");
}
