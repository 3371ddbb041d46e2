//! Servers that refuse, repeat what is secret, die or never answer: a warning, once, and nothing else.

use crate::fake::{Fake, Manner};
use crate::place::{Bucket, Made, Place, environment, noise};
use object_store::local::LocalFileSystem;
use pipe_cache::remote::{Pulled, Replace};
use pipe_cache::{CacheError, Remote};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEY_ID: &str = "AKIDOFTHETEST";
const SECRET: &str = "dontTellAnyone/secret+key";
const TOKEN: &str = "dontTellAnyone-session-token";

fn remote(server: &Fake) -> Remote {
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

/// A folder with one result, as it was pushed there.
fn pushed() -> (tempfile::TempDir, Place, Made) {
    let (folder, place) = (tempfile::tempdir().expect("a folder"), Place::new());
    let made = place.make("x", &[("a", noise(1, 3_000_000))]);
    let raw = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a folder"));
    let bucket = Bucket { url: format!("file://{}", folder.path().display()), environment: Vec::new(), raw };
    place.push(&bucket, &[made.key]);
    (folder, place, made)
}

fn pull(remote: &Remote, place: &Place, made: &Made) -> Pulled {
    remote.pull(&place.store, made.key, &|_, _, _| true).expect("the store works")
}

/// Insists that the remote can't be used, that this is said once, and that nothing is left behind.
fn expect_trouble(manner: Manner, expect: &str) -> (Fake, String) {
    let (folder, _, made) = pushed();
    let server = Fake::start(folder.path(), manner);
    let (remote, place) = (remote(&server), Place::new());
    let Pulled::Unreachable(error) = pull(&remote, &place, &made) else { panic!("no answer") };
    assert!(error.to_string().contains(expect), "{error}");
    let num_requests = server.num_requests();
    assert!(matches!(pull(&remote, &place, &made), Pulled::Absent), "it is said once");
    assert_eq!(server.num_requests(), num_requests, "and not asked again");
    assert!(!place.is_hit(made.key));
    assert_eq!(place.left_over().len(), 0);
    (server, format!("{error} {error:?} {remote:?}"))
}

#[test]
fn an_honest_fake_is_a_remote() {
    let (folder, _, made) = pushed();
    let server = Fake::start(folder.path(), Manner::Honest);
    let place = Place::new();
    assert!(matches!(pull(&remote(&server), &place, &made), Pulled::Got { .. }));
    place.expect(&made);
    assert!(server.requests().contains(TOKEN) && server.requests().contains(KEY_ID), "requests are signed");
}

#[test]
fn what_is_secret_is_not_repeated_by_whatever_fails() {
    let (server, text) = expect_trouble(Manner::Refuses, "it refuses (403 AccessDenied)");
    assert!(server.requests().contains(TOKEN), "else this proves nothing");
    let place = Place::new();
    let made = place.make("y", &[("a", noise(2, 9_000_000))]);
    let pushed = remote(&server).push(&place.store, &[made.key], Replace::Never, &mut |_| {});
    let Err(error) = pushed else { panic!("it refuses") };
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
fn a_server_that_dies_in_the_middle_is_a_warning() {
    let since = Instant::now();
    expect_trouble(Manner::DiesInBlobs, "no connection");
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[test]
fn a_server_that_is_broken_or_absent_is_a_warning() {
    expect_trouble(Manner::Broken, "it refuses (500)");
    let (folder, _, made) = pushed();
    let server = Fake::start(folder.path(), Manner::Honest);
    let (remote, place) = (remote(&server), Place::new());
    drop(server);
    let Pulled::Unreachable(error) = pull(&remote, &place, &made) else { panic!("nobody is there") };
    assert!(error.to_string().contains("no connection"), "{error}");
    // For who asks for it, it is an error.
    let pushed = remote.push(&place.store, &[place.make("x", &[]).key], Replace::Never, &mut |_| {});
    assert!(matches!(pushed, Err(CacheError::Remote(_))), "{pushed:?}");
}

#[test]
fn a_folder_that_is_absent_is_empty_until_a_push_makes_it_and_a_warning_if_more_is_absent() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, path) = (Place::new(), folder.path().join("share"));
    let made = place.make("x", &[("a", vec![1])]);
    let open = |path: &std::path::Path| Remote::open(&format!("file://{}", path.display()), environment(&[]));
    let absent = open(&path).expect("a URL");
    assert!(matches!(pull(&absent, &Place::new(), &made), Pulled::Absent));
    let deep = open(&path.join("deep")).expect("a URL");
    assert!(matches!(pull(&deep, &Place::new(), &made), Pulled::Unreachable(_)));
    let deep = open(&path.join("deep")).expect("a URL");
    assert!(deep.push(&place.store, &[made.key], Replace::Never, &mut |_| {}).is_err(), "it may not be mounted");
    assert_eq!(absent.push(&place.store, &[made.key], Replace::Never, &mut |_| {}).expect("pushed").actions, 1);
}

#[test]
fn who_does_not_want_to_wait_does_not() {
    let (folder, _, made) = pushed();
    let server = Fake::start(folder.path(), Manner::Silent);
    let (remote, place) = (remote(&server), Place::new());
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
