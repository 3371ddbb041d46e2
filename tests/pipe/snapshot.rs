//! [`check_command`]: compares what a user sees with a file of `snapshots/`.
//!
//! After a change of a text on purpose, run the test with `INSTA_UPDATE=always` and read the difference as a reviewer would.

use crate::space::Space;
use std::process::Output;

/// Text that differs from run to run, as regular expressions with replacements.
const REDACTED: &[(&str, &str)] = &[
    (r" *\b(\d+ m \d\d s|\d+(\.\d+)? s)\b", " [TIME]"),
    (r"\d{8}T\d{9}-\d+", "[RUN]"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[WHEN]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[WHEN]"),
    // The columns of a table with ids and times are as wide as these.
    (r"\brun {10,}pipeline", "run  pipeline"),
    (r"\bstarted {10,}", "started  "),
    (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
    (r"\b(loss|top1|top5|up to|by) \d+(\.\d+)?(e-?\d+)?", "$1 [NUMBER]"),
    (r"\d+\.\d ms \(p99 \d+\.\d ms\)", "[NUMBER] ms (p99 [NUMBER] ms)"),
    (r"\(\d+\.\d+ to \d+\.\d+\)", "([NUMBER] to [NUMBER])"),
    // Whether a source file is read again depends on how long ago it changed.
    (r"(?m)^read    .*\n", ""),
    // Progress lines appear on a slow machine only.
    (r"\n {8}\S+ +\d+/\d+ steps[^\n]*", ""),
];

/// Compares a text with the snapshot `name`, after folders, times, digests and measured numbers are replaced.
pub(crate) fn check(space: &Space, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let folder = space.path("").canonicalize().unwrap();
    let folder = folder.to_str().unwrap().trim_end_matches('/').to_owned();
    let text = text.replace(&folder, "[FOLDER]").replace(pipe_testkit::repository().to_str().unwrap(), "[REPOSITORY]");
    for (pattern, replacement) in REDACTED {
        settings.add_filter(pattern, *replacement);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Compares a whole command: its arguments, exit code, stdout and stderr.
pub(crate) fn check_command(space: &Space, name: &str, args: &[&str]) {
    let output = space.command(args).env("COLUMNS", "100").output().unwrap();
    check(space, name, &shown(args, &output));
}

/// Returns a command as a user sees it in a terminal.
pub(crate) fn shown(args: &[&str], output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().map_or("none, a signal".to_owned(), |code| code.to_string());
    let mut shown = format!("$ pipe {}\n{}{}", args.join(" "), text(&output.stdout), text(&output.stderr));
    if code != "0" {
        shown += &format!("[exit code {code}]\n");
    }
    shown
}
