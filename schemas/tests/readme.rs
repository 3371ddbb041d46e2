//! README.md lists the stage kinds that exist, with their main ports.

use pipe_schemas::stages::ALL;

const README: &str = include_str!("../../README.md");

#[test]
fn the_readme_has_a_row_for_each_stage_kind() {
    let section = README.split("\n## Stages\n").nth(1).expect("the section `Stages`");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let listed: Vec<&str> = rows.iter().filter_map(|row| row.split('`').nth(1)).collect();
    let kinds: Vec<&str> = ALL.iter().map(|contract| contract.kind).collect();
    assert_eq!(listed, kinds, "README.md, section `Stages`: one row per stage kind, in the order of `pipe stages`");
    for (contract, row) in ALL.iter().zip(rows) {
        let ports = row.split('|').nth(2).unwrap_or_default();
        if let Some(main) = contract.outputs.first() {
            assert!(ports.contains(&format!("`{}`", main.name)), "README.md, `{}`: its main output", contract.kind);
        }
    }
}
