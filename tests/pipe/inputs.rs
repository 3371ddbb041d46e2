//! A program that writes to its inputs in the store is found out, and no result made from damaged bytes is kept.

use crate::space::Space;
use std::process::Output;

/// Two stages read what `a` writes; `b` also does something to it. Neither writes a file of the same content, which would repair it.
fn pipeline(space: &Space, harm: &str, output: &str) {
    let text = format!(
        "pipeline: p\nstages:\n  a: {{ uses: command, with: {{ shell: 'mkdir \"${{outputs.r}}\"; echo 1 > \"${{outputs.r}}/f\"', outputs: {{ r: r }} }} }}\n  \
         b:\n    uses: command\n    inputs: {{ a: a }}\n    with:\n      shell: |\n        f=\"${{inputs.a}}/f\"; to=$(readlink -f \"$f\")\n        \
         {harm}\n        echo {output} > \"${{outputs.r}}\"\n      outputs: {{ r: r }}\n  \
         c: {{ uses: command, inputs: {{ a: a }}, with: {{ shell: 'while [ -e wait ]; do sleep 0.02; done; sed s/1/1c/ \"${{inputs.a}}/f\" > \"${{outputs.r}}\"', outputs: {{ r: r }} }} }}\n"
    );
    space.write("p.yaml", &text);
}

fn run(space: &Space) -> (Option<i32>, String) {
    let output = space.output(&["run", "p.yaml", "--keep-going", "--jobs", "2"]);
    (output.status.code(), stderr(&output))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_change_of_an_input_is_found_and_nothing_wrong_is_kept() {
    for harm in [
        "chmod u+w \"$to\"; echo more >> \"$to\"",
        "chmod u+w \"$to\"; printf 2 | dd of=\"$to\" conv=notrunc 2>/dev/null",
        "chmod u+w \"$to\"; echo more >> \"$to\"; exit 3",
        "rm -f \"$to\"",
        "echo index > \"${inputs.a}/f.index\"",
        "rm \"$f\"",
        "rm \"$f\"; echo 2 > \"$f\"",
        "mv \"$f\" \"${inputs.a}/g\"",
    ] {
        let space = Space::new();
        pipeline(&space, harm, "done");
        let (code, text) = run(&space);
        assert_eq!(code, Some(1), "{harm}: {text}");
        assert!(text.contains("the input `a` was changed while the stage ran: the "), "{harm}: {text}");
        assert!(text.contains("let it work on a copy"), "{harm}: {text}");
        pipeline(&space, "true", "done");
        let (code, text) = run(&space);
        assert_eq!(code, Some(0), "{harm}: {text}");
        for (stage, expect) in [("a/r/f", "1\n"), ("b/r", "done\n"), ("c/r", "1c\n")] {
            let found = std::fs::read_to_string(space.path(".pipe/out/p").join(stage)).unwrap();
            assert_eq!(found, expect, "{harm}: {stage}");
        }
        assert_eq!(space.output(&["cache", "verify"]).status.code(), Some(0), "{harm}");
    }
}

#[test]
fn a_stage_that_reads_an_input_while_it_is_damaged_fails_too() {
    for harm in [
        "chmod u+w \"$to\"; printf 2 | dd of=\"$to\" conv=notrunc 2>/dev/null; rm wait; sleep 0.5",
        "rm \"$f\"; echo 2 > \"$f\"; rm wait; sleep 0.5",
    ] {
        let space = Space::new();
        space.write("wait", "");
        pipeline(&space, harm, "done");
        let (code, text) = run(&space);
        assert_eq!(code, Some(1), "{text}");
        assert_eq!(text.matches("the input `a` was changed while the stage ran").count(), 2, "{text}");
        pipeline(&space, "true", "done");
        assert_eq!(run(&space).0, Some(0));
        assert_eq!(std::fs::read_to_string(space.path(".pipe/out/p/c/r")).unwrap(), "1c\n");
    }
}

#[test]
fn an_input_that_is_only_read_or_copied_is_no_change() {
    let space = Space::new();
    pipeline(&space, "cp \"$f\" copy; chmod u+w copy; echo more >> copy; cat \"$f\"; touch -a \"$to\" || true", "done");
    let (code, text) = run(&space);
    assert_eq!(code, Some(0), "{text}");
}
