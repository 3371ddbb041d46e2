//! Writes the JSON schema of pipeline files to stdout; `cargo xtask schema` redirects it to `schemas/json/`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, &pipe_schemas::pipeline_schema())?;
    writeln!(stdout)
}
