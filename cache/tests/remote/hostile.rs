//! Servers that refuse requests, repeat secrets, die or never respond cause one warning and nothing else.

use crate::fake::{Behavior, FakeServer};
use crate::test_store::{Bucket, TestResult, TestStore, environment, noise};
use object_store::local::LocalFileSystem;
use pipe_cache::remote::{Pulled, PushOptions};
use pipe_cache::{CacheError, Remote};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEY_ID: &str = "AKIDOFTHETEST";
const SECRET: &str = "dontTellAnyone/secret+key";
const TOKEN: &str = "dontTellAnyone-session-token";

fn remote(server: &FakeServer) -> Remote {
    let variables = [
        ("AWS_ENDPOINT_URL", format!("http://{}", server.address)),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_ACCESS_KEY_ID", KEY_ID.into()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
        ("AWS_SESSION_TOKEN", TOKEN.into()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Remote::open("s3://bucket", environment(&variables)).expect("a URL")
}

/// Returns a folder that one result was pushed to.
fn pushed() -> (tempfile::TempDir, TestStore, TestResult) {
    let (folder, place) = (tempfile::tempdir().expect("a folder"), TestStore::new());
    let made = place.make("x", &[("a", noise(1, 3_000_000))]);
    let raw = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a folder"));
    let bucket = Bucket { url: format!("file://{}", folder.path().display()), environment: Vec::new(), raw };
    place.push(&bucket, &[made.key]);
    (folder, place, made)
}

fn pull(remote: &Remote, place: &TestStore, made: &TestResult) -> Pulled {
    remote.pull(&place.store, made.key, &|_, _, _| true).expect("the store works")
}

/// Asserts that the remote fails with `expect`, that this is reported once, and that no files remain.
fn expect_failure(behavior: Behavior, expect: &str) -> (FakeServer, String) {
    let (folder, _, made) = pushed();
    let server = FakeServer::start(folder.path(), behavior);
    let (remote, place) = (remote(&server), TestStore::new());
    let Pulled::Unreachable(error) = pull(&remote, &place, &made) else { panic!("not unreachable") };
    assert!(error.to_string().contains(expect), "{error}");
    let num_requests = server.num_requests();
    assert!(matches!(pull(&remote, &place, &made), Pulled::Absent), "reported only once");
    assert_eq!(server.num_requests(), num_requests, "no further requests");
    assert!(!place.is_hit(made.key));
    assert_eq!(place.left_over().len(), 0);
    (server, format!("{error} {error:?} {remote:?}"))
}

#[test]
fn an_honest_server_is_a_remote() {
    let (folder, _, made) = pushed();
    let server = FakeServer::start(folder.path(), Behavior::Honest);
    let place = TestStore::new();
    assert!(matches!(pull(&remote(&server), &place, &made), Pulled::Got { .. }));
    place.expect(&made);
    assert!(server.requests().contains(TOKEN) && server.requests().contains(KEY_ID), "requests are signed");
}

#[test]
fn errors_do_not_contain_secrets() {
    let (server, text) = expect_failure(Behavior::Refuses, "the server refuses the request (403 AccessDenied)");
    assert!(server.requests().contains(TOKEN), "otherwise this test proves nothing");
    let place = TestStore::new();
    let made = place.make("y", &[("a", noise(2, 9_000_000))]);
    let pushed = remote(&server).push(&place.store, &[made.key], PushOptions::default(), &mut |_| {});
    let Err(error) = pushed else { panic!("not refused") };
    let mut text = format!("{text} {error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(" {error} {error:?}");
        cause = error.source();
    }
    for secret in [SECRET, TOKEN, KEY_ID, "Signature"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_server_that_dies_during_a_transfer_is_a_warning() {
    let since = Instant::now();
    expect_failure(Behavior::DiesInBlobs, "connection failed");
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[test]
fn a_broken_or_absent_server_is_a_warning() {
    expect_failure(Behavior::Broken, "the server refuses the request (500)");
    let (folder, _, made) = pushed();
    let server = FakeServer::start(folder.path(), Behavior::Honest);
    let (remote, place) = (remote(&server), TestStore::new());
    drop(server);
    let Pulled::Unreachable(error) = pull(&remote, &place, &made) else { panic!("not unreachable") };
    assert!(error.to_string().contains("connection failed"), "{error}");
    // For an explicit push, it is an error.
    let pushed = remote.push(&place.store, &[place.make("x", &[]).key], PushOptions::default(), &mut |_| {});
    assert!(matches!(pushed, Err(CacheError::Remote(_))), "{pushed:?}");
}

#[test]
fn a_missing_folder_is_created_by_a_push_unless_its_parent_is_missing_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, path) = (TestStore::new(), folder.path().join("share"));
    let made = place.make("x", &[("a", vec![1])]);
    let open = |path: &std::path::Path| Remote::open(&format!("file://{}", path.display()), environment(&[]));
    let absent = open(&path).expect("a URL");
    assert!(matches!(pull(&absent, &TestStore::new(), &made), Pulled::Absent));
    let deep = open(&path.join("deep")).expect("a URL");
    assert!(matches!(pull(&deep, &TestStore::new(), &made), Pulled::Unreachable(_)));
    let deep = open(&path.join("deep")).expect("a URL");
    assert!(
        deep.push(&place.store, &[made.key], PushOptions::default(), &mut |_| {}).is_err(),
        "the file system may not be mounted"
    );
    assert_eq!(absent.push(&place.store, &[made.key], PushOptions::default(), &mut |_| {}).expect("pushed").actions, 1);
}

#[test]
fn a_transfer_can_be_stopped() {
    let (folder, _, made) = pushed();
    let server = FakeServer::start(folder.path(), Behavior::Silent);
    let (remote, place) = (remote(&server), TestStore::new());
    let since = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            remote.stop();
        });
        assert!(matches!(pull(&remote, &place, &made), Pulled::Absent));
    });
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}
