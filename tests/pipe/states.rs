//! States of training: which ones the store keeps, and which ones reach another machine.

use crate::space::{RunOutput, Space};

/// Runs the tiny smoke pipeline. Returns its output, and the numbers of epochs that were reused and trained.
fn train(space: &Space, epochs: u32) -> (RunOutput, (u64, u64)) {
    // A cosine to the last epoch would change the learning rates of all epochs.
    let run = space.run_tiny(&[&format!("vars.epochs={epochs}"), "stages.model.with.param_scheduler=[]"]).ok();
    let parts = &run.stage("model")["parts"];
    let counts = (parts["hits"].as_u64().unwrap_or_default(), parts["ran"].as_u64().unwrap_or_default());
    (run, counts)
}

fn cache(space: &Space, args: &[&str]) -> String {
    let output = space.output(&[&["cache"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// Returns the bytes that the remote holds.
fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

#[test]
fn results_are_shared_without_states_unless_these_are_requested() {
    let (one, two, three) = (Space::new(), Space::new(), Space::new());
    let remote = one.path("share");
    let url = format!("file://{}", remote.display());
    assert_eq!(train(&one, 2).1, (0, 2));

    cache(&one, &["push", "--remote", &url]);
    let without_states = size(&remote);
    cache(&two, &["pull", "--remote", &url]);
    assert!(train(&two, 2).0.stages("ran").is_empty(), "all results are here");
    let (made_again, counts) = train(&two, 3);
    assert_eq!(counts, (0, 3), "without a state, training starts again, and ends");

    let sent = cache(&one, &["push", "--remote", &url, "--states"]);
    assert!(sent.contains("1 result sent"), "the last epoch, with its state: {sent}");
    assert!(cache(&one, &["push", "--remote", &url, "--states"]).contains("0 results sent"));
    assert!(size(&remote) > without_states);
    cache(&three, &["pull", "--remote", &url]);
    let (continued, counts) = train(&three, 3);
    assert_eq!(counts, (2, 1), "with it, training continues");
    assert_eq!(continued.digests()["model"], made_again.digests()["model"]);

    // A push without states leaves them on the remote.
    cache(&three, &["push", "--remote", &url]);
    let four = Space::new();
    cache(&four, &["pull", "--remote", &url]);
    assert!(train(&four, 3).0.stages("ran").is_empty());
}

#[test]
fn gc_frees_the_states_that_more_epochs_do_not_need() {
    let space = Space::new();
    train(&space, 4);
    let before = size(&space.path(".pipe/store/v1/blobs"));
    let freed = cache(&space, &["gc"]);
    let after = size(&space.path(".pipe/store/v1/blobs"));
    assert!(before - after > 100_000, "{before} {after}: {freed}");
    assert!(train(&space, 4).0.stages("ran").is_empty());
    assert_eq!(train(&space, 5).1, (4, 1), "training continues from the last epoch");
}
