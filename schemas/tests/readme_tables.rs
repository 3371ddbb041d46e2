//! The tables of `README.md` are those that the contracts give.

#[expect(dead_code, reason = "`main` runs in the example only")]
#[path = "../examples/readme.rs"]
mod readme;

#[test]
fn readme_tables_are_up_to_date() {
    let readme = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("a readme");
    assert!(readme == readme::updated(&readme), "README.md is not up to date; run `cargo xtask docs`");
}
