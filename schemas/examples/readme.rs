//! Prints `README.md` with its generated tables; `cargo xtask docs` writes it. A table stands between the lines
//! `<!-- begin: NAME -->` and `<!-- end: NAME -->`.

use pipe_schemas::networks::{FAMILIES, FamilyInfo};
use pipe_schemas::{Contract, InputPort, stages};
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let readme = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    Ok(std::io::stdout().lock().write_all(updated(&readme).as_bytes())?)
}

/// Returns `readme` with all tables up to date.
pub(crate) fn updated(readme: &str) -> String {
    replaced(&replaced(readme, "stages", &stage_table()), "networks", &network_table())
}

/// Returns `text` with other lines between the markers of `name`.
fn replaced(text: &str, name: &str, lines: &str) -> String {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no line `{}`", begin.trim()));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no line `{end}`"));
    format!("{before}{begin}{lines}{end}{after}")
}

fn stage_table() -> String {
    let rows = stages::ALL.iter().map(|contract| {
        let (kind, summary) = (contract.kind, contract.summary);
        format!("| `{kind}` | {} | {} | {summary} |\n", inputs(contract), outputs(contract))
    });
    format!("| kind | inputs | outputs | |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

fn inputs(contract: &Contract) -> String {
    let name = |port: &InputPort| match (port.required, port.or_param) {
        (true, _) => format!("`{}`", port.name),
        (false, Some(param)) => format!("`{}`, or files as `with: {{ {param}: … }}`", port.name),
        (false, None) => format!("`{}` (optional)", port.name),
    };
    contract.inputs.iter().map(name).chain(contract.open_inputs()).collect::<Vec<_>>().join(", ")
}

fn outputs(contract: &Contract) -> String {
    if contract.outputs.is_empty() {
        return "any".to_owned();
    }
    contract.outputs.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ")
}

/// Returns a row per network family.
fn network_table() -> String {
    let row = |family: &FamilyInfo| {
        let FamilyInfo { type_name, summary, paper, weights } = family;
        format!("| `{type_name}` | {summary} | {paper} | {weights} |\n")
    };
    format!(
        "| `type` | | paper | published weights |\n|---|---|---|---|\n{}",
        FAMILIES.iter().map(row).collect::<String>()
    )
}
