//! The table in `main.rs` has the stage kinds whose contracts name this worker. The compiler does not find a missing line.

use pipe_schemas::{Worker, stages};
use pipe_stage::protocol::Info;
use std::collections::BTreeMap;
use std::process::Command;

#[test]
fn the_worker_runs_every_kind_whose_contract_names_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_pipe-data-worker")).arg("--info").output().expect("runs");
    let info: Info = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    let own = stages::ALL.iter().filter(|contract| contract.worker == Some(Worker::Data));
    let expect: BTreeMap<String, u32> = own.map(|contract| (contract.kind.to_owned(), contract.version)).collect();
    assert_eq!(info.kinds, expect);
}
