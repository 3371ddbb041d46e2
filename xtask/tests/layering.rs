//! The folders are the architecture: which crate may know which, read from the manifests.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Know clips, networks and numbers, and nothing of pipelines.
const DOMAIN: &[&str] = &[
    "pipe-pixels",
    "pipe-video",
    "pipe-clips",
    "pipe-graph",
    "pipe-models",
    "pipe-weights",
    "pipe-metrics",
    "pipe-learn",
    "pipe-infer",
];

/// What `pipe` must not load: it starts in milliseconds because it links none of them.
const HEAVY: &[&str] = &["tch", "torch-sys", "ffmpeg-next", "ffmpeg-sys-next", "polars", "arrow", "parquet", "ort"];

#[test]
fn each_crate_knows_only_what_lies_below_it() {
    let manifests = manifests();
    let ours: BTreeSet<&str> = manifests.keys().map(String::as_str).collect();
    let mut wrong = Vec::new();
    for (name, manifest) in &manifests {
        let allowed = allowed(&manifest.folder);
        for known in manifest.names.iter().filter(|name| ours.contains(name.as_str())) {
            if !allowed.iter().any(|pattern| matches(pattern, known)) {
                wrong.push(format!("{name} must not know {known}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the workspace's crates that a crate in `folder` may know; `*` stands for any ending.
fn allowed(folder: &str) -> Vec<&'static str> {
    match folder {
        // Tables and clips for its tests alone; `pipe_links_nothing_heavy` sees to that.
        "" => vec!["pipe-engine", "pipe-cache", "pipe-stage", "pipe-schemas", "pipe-tables", "pipe-clips"],
        "crates/engine" => vec!["pipe-cache", "pipe-stage", "pipe-schemas"],
        "crates/stage" | "crates/tables" => vec!["pipe-schemas"],
        "crates/testkit" => vec!["pipe-stage", "pipe-schemas"],
        "cache" | "schemas" | "xtask" | "crates/pixels" => vec![],
        // Fuzz targets reach every parser.
        "fuzz/harness" => vec!["pipe-*"],
        _ => {
            let mut allowed = vec!["pipe-schemas", "pipe-tables"];
            allowed.extend(DOMAIN);
            if folder.starts_with("stages/") {
                allowed.push("pipe-stage");
            }
            if folder.starts_with("workers/") {
                allowed.extend(["pipe-stage", "pipe-stage-*"]);
            }
            allowed
        }
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[test]
fn crates_are_where_the_layout_says() {
    let folders: BTreeSet<String> = manifests().into_values().map(|manifest| manifest.folder).collect();
    for name in DOMAIN {
        let folder = name.replace("pipe-", "crates/");
        assert!(folders.contains(&folder), "{folder}");
    }
    let known = |folder: &String| {
        let at = |row: &str| folder.starts_with(row);
        ["", "cache", "schemas", "xtask", "fuzz/harness"].contains(&folder.as_str())
            || at("crates/")
            || at("stages/")
            || at("workers/")
    };
    assert!(folders.iter().all(known), "{folders:?}");
}

#[test]
fn a_heavy_dependency_has_one_home() {
    let manifests = manifests();
    let data_stages =
        |name: &str| name.starts_with("pipe-stage-") && manifests["pipe-data-worker"].names.contains(name);
    for (name, manifest) in &manifests {
        for known in &manifest.names {
            let at_home = match known.as_str() {
                "tch" | "torch-sys" => name == "pipe-learn",
                "ffmpeg-next" | "ffmpeg-sys-next" => name == "pipe-video",
                "ort" => name == "pipe-infer",
                "serde_yaml" => name == "pipe-engine",
                "object_store" | "reqwest" | "tokio" => name == "pipe-cache",
                "ureq" => name == "pipe-stage-fetch",
                "rustls" => ["pipe-cache", "pipe-stage-fetch"].contains(&name.as_str()),
                "polars" => data_stages(name),
                _ => true,
            };
            assert!(at_home, "{name} must not name {known}");
        }
    }
}

#[test]
fn simd_has_one_home() {
    let xtask = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"));
    let root = xtask.parent().expect("a folder of the repository");
    let uses_simd = |folder: &str| {
        let sources = rust_files(&root.join(folder).join("src"));
        sources.iter().any(|text| text.contains("std::arch") || text.contains("target_feature"))
    };
    let homes: Vec<String> =
        manifests().into_values().map(|manifest| manifest.folder).filter(|folder| uses_simd(folder)).collect();
    assert_eq!(homes, ["crates/pixels"]);
}

/// Returns the contents of all Rust files in a folder.
fn rust_files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(fs_err::read_to_string(&path).expect("a source file"));
        }
    }
    files
}

#[test]
fn pipe_links_nothing_heavy() {
    let light = ["pipe", "pipe-engine", "pipe-cache", "pipe-schemas", "pipe-stage"];
    let graph = resolved();
    for start in light {
        let mut reached = BTreeSet::from([start.to_owned()]);
        let mut open = vec![start.to_owned()];
        while let Some(name) = open.pop() {
            for known in &graph[&name] {
                assert!(!HEAVY.contains(&known.as_str()), "{start} reaches {known} through {name}");
                if reached.insert(known.clone()) {
                    open.push(known.clone());
                }
            }
        }
    }
    // Else the walk would prove nothing.
    assert!(graph["pipe-learn"].contains("tch"));
}

struct Manifest {
    /// Below the repository; empty for the root's own package.
    folder: String,
    /// Every dependency, also of tests and build scripts, but for `pipe-testkit`, which helps tests wherever they are.
    names: BTreeSet<String>,
}

fn manifests() -> BTreeMap<String, Manifest> {
    let metadata = metadata(&["--no-deps"]);
    let root = text(&metadata["workspace_root"]);
    let manifest = |package: &Value| {
        let path = text(&package["manifest_path"]);
        let folder = path.strip_prefix(root).and_then(|path| path.strip_suffix("Cargo.toml"));
        let folder = folder.expect("a member lies in the workspace").trim_matches('/').to_owned();
        let helps_tests = |known: &&Value| known["name"] == "pipe-testkit" && known["kind"] == "dev";
        let names = list(&package["dependencies"]).iter().filter(|known| !helps_tests(known));
        let names = names.map(|known| text(&known["name"]).to_owned()).collect();
        (text(&package["name"]).to_owned(), Manifest { folder, names })
    };
    list(&metadata["packages"]).iter().map(manifest).collect()
}

/// What each package links, by name, for all packages and the features that are on.
fn resolved() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let packages = list(&metadata["packages"]);
    let names: BTreeMap<&str, &str> =
        packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let linked = |dependency: &&Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let dependencies = list(&node["deps"]).iter().filter(linked);
        let known = dependencies.map(|dependency| names[text(&dependency["pkg"])].to_owned());
        // Two versions of a package count as one.
        graph.entry(names[text(&node["id"])].to_owned()).or_default().extend(known);
    }
    graph
}

fn metadata(args: &[&str]) -> Value {
    // Asked at run time: the same build may serve several copies of the repository.
    let asked = |name| std::env::var_os(name).expect("cargo runs the tests");
    let mut cargo = Command::new(asked("CARGO"));
    cargo.args(["metadata", "--offline", "--format-version", "1"]).args(args);
    let output = cargo.current_dir(asked("CARGO_MANIFEST_DIR")).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("cargo documents a list here")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo documents a string here")
}
