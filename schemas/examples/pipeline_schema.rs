//! Writes the JSON schema of pipeline files to stdout; `cargo xtask docs` writes it to `schemas/json/`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, &pipe_schemas::pipeline_schema())?;
    writeln!(stdout)
}
