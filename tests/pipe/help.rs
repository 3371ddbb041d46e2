//! Help texts, as snapshots: someone who has never seen `pipe` must understand each line.

use crate::snapshot;
use crate::space::Space;

#[test]
fn help_of_pipe() {
    snapshot::check_command(&Space::new(), "help", &["--help"]);
}

#[test]
fn help_of_every_command() {
    let space = Space::new();
    let mut commands = commands(&space, &[]);
    commands.retain(|name| !["cache", "model"].contains(&name.as_str()));
    assert!(commands.len() > 10, "{commands:?}");
    for name in commands {
        snapshot::check_command(&space, &format!("help_{name}"), &[&name, "--help"]);
    }
}

#[test]
fn help_of_every_cache_command() {
    help_of_group("cache");
}

#[test]
fn help_of_every_model_command() {
    help_of_group("model");
}

fn help_of_group(group: &str) {
    let space = Space::new();
    snapshot::check_command(&space, &format!("help_{group}"), &[group, "--help"]);
    let commands = commands(&space, &[group]);
    assert!(commands.len() > 1, "{commands:?}");
    for name in commands {
        snapshot::check_command(&space, &format!("help_{group}_{name}"), &[group, &name, "--help"]);
    }
}

/// Returns the commands that a help text lists.
fn commands(space: &Space, above: &[&str]) -> Vec<String> {
    let help = space.output(&[above, &["--help"]].concat());
    let help = String::from_utf8(help.stdout).unwrap();
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // The lines of a command's text that follow its first are indented further.
    let names = list.filter(|line| !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn stage_kinds_are_listed() {
    snapshot::check_command(&Space::new(), "stages", &["stages"]);
}

#[test]
fn completion_scripts_name_every_command() {
    let space = Space::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = space.output(&["completions", shell]);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for name in commands(&space, &[]) {
            assert!(script.contains(&name), "{shell} has no `{name}`");
        }
    }
}

#[test]
fn log_lines_go_to_stderr_and_only_if_asked_for() {
    let space = Space::new();
    space.write("p.yaml", "pipeline: p\nstages: { a: { uses: command, with: { run: [cp, p.yaml, \"${outputs.r}\"], outputs: { r: r } } } }\n");
    let run = |args: &[&str], rust_log: &str| {
        let output =
            space.command(&[&["run", "p.yaml", "--output", "json"], args].concat()).env("RUST_LOG", rust_log).output();
        let output = output.unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.lines().all(|line| line.starts_with('{')), "stdout is data: {stdout}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(run(&[], ""), "");
    let verbose = run(&["-v"], "");
    assert!(verbose.contains("load") && verbose.contains("pipeline=\"p\""), "{verbose}");
    assert!(run(&["-vv"], "").len() > verbose.len());
    assert_eq!(run(&["-v"], "pipe=off"), "", "RUST_LOG overrides -v");
    let warned = run(&[], "pipe=loud");
    assert!(warned.starts_with("warning: RUST_LOG is ignored"), "{warned}");
}
