//! The stage kinds of this worker.

use pipe_schemas::Worker;
use pipe_testkit::check_kinds;

#[test]
fn the_worker_runs_every_kind_whose_contract_names_it() {
    check_kinds(Worker::Infer, env!("CARGO_BIN_EXE_pipe-infer-worker"));
}
