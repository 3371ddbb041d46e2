//! Mistakes in a pipeline file: all are reported at once, with line and column; the exit code is 2; nothing runs.

use crate::space::Space;

#[test]
fn every_mistake_is_reported_with_its_place() {
    let space = Space::new();
    space.write("bad.yaml", include_str!("bad.yaml"));
    let output = space.output(&["run", "bad.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let expect = include_str!("bad.stderr");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr == expect, "if this output is correct, copy it to tests/pipe/bad.stderr:\n{stderr}");
    assert_eq!(std::fs::read_dir(space.path(".pipe")).unwrap().count(), 0, "nothing may run or be written");
}

#[test]
fn files_that_are_not_pipelines_are_reported() {
    let space = Space::new();
    let check = |text: &str, expect: &str| {
        space.write("p.yaml", text);
        let output = space.output(&["run", "p.yaml"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expect), "{text:?}: {stderr}");
    };
    check("", "expected a map");
    check("[1, 2]", "expected a map");
    check("pipeline: [", "p.yaml:");
    check("pipeline: x", "needs a map of stages");
    check("pipeline: x\nextends: [absent.yaml]\nstages: {}", "absent.yaml");
    check("pipeline: x\nstages: { a: { uses: ingest } }", "has neither `root` nor the input `folder`");
    for file in ["a.pth", "a.txt"] {
        space.write(file, "");
    }
    let stage = |with: &str| {
        let samples = r#"{ uses: command, with: { shell: 'touch "${outputs.s}"', outputs: { s: s } } }"#;
        format!("pipeline: x\nstages:\n  s: {samples}\n  m: {{ uses: pretrained, inputs: {{ samples: s{with} }}\n")
    };
    check(&stage(" }"), "the stage `m` has neither `load_from.checkpoint` nor the input `weights`");
    check(&stage(" }"), "with: { load_from: { checkpoint: PATH } }, or inputs: { weights: STAGE }");
    let both = " , weights: s }, with: { load_from: { checkpoint: a.pth } }";
    check(&stage(both), "the stage `m` has both `load_from.checkpoint` and the input `weights`");
    let names = " , weights: s, classes: s }, with: { label_map: a.txt }";
    check(&stage(names), "the stage `m` has both `label_map` and the input `classes`");
    assert_eq!(space.output(&["run", "absent.yaml"]).status.code(), Some(2));
    assert_eq!(space.output(&["run", "p.yaml", "--set", "nonsense"]).status.code(), Some(2));
    assert_eq!(space.output(&["fly"]).status.code(), Some(2));
}

#[test]
fn a_valid_file_is_checked_without_running() {
    let space = Space::new();
    let smoke = pipe_testkit::repository().join("pipelines/smoke.yaml");
    let output = space.output(&["check", smoke.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("10 stages, no mistakes"));
}

#[test]
fn a_hostile_file_is_rejected_quickly() {
    let space = Space::new();
    let check = |text: String, expect: &str| {
        space.write("p.yaml", &text[..text.len().min(1 << 20)]);
        let since = std::time::Instant::now();
        let output = space.output(&["check", "p.yaml"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expect) && stderr.len() < 50_000, "{expect}: {} bytes", stderr.len());
        assert!(since.elapsed().as_secs() < 20, "{expect}: {:?}", since.elapsed());
    };
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    check(format!("a: {}", "[".repeat(1 << 20)), "p.yaml:1:");
    check("- ".repeat(1 << 20), "p.yaml:1:");
    check(format!("a: &a {}\nb: [{}]", "x".repeat(100_000), "*a,".repeat(10_000)), "expand to too many");
    check(lines(100_000, &|key| format!("k{key}: 1\n")), "more");
    check(
        format!("vars:\n{}", lines(40_000, &|name| format!("  v{name}: '${{v{}}}'\n", name + 1))),
        "`v40000` is not defined",
    );
    let stage = "stages: { s: { uses: command, with: { shell: 'echo ${a} ${b} > ${outputs.r}', outputs: { r: r } } } }";
    let axis = |from: usize| (from..from + 1000).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    check(format!("matrix: {{ a: [{}], b: [{}] }}\n{stage}", axis(0), axis(5000)), "too many stages");
}
