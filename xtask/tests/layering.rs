//! The layers of the workspace, checked: which crate may depend on which, where each heavy dependency is named, which crates may contain
//! SIMD code, and where wildcard arms are forbidden. ARCHITECTURE.md explains the rules.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Domain crates: they know clips, networks and numbers, and nothing of pipelines.
const DOMAIN: &[&str] = &[
    "pipe-video",
    "pipe-pixels",
    "pipe-clips",
    "pipe-pictures",
    "pipe-graph",
    "pipe-models",
    "pipe-weights",
    "pipe-learn",
    "pipe-metrics",
    "pipe-evaluation",
    "pipe-tensorboard",
    "pipe-infer",
    "pipe-predict",
];

/// Domain crates that must not link libtorch, FFmpeg, polars or an inference engine, neither directly nor through others.
const LIGHT_DOMAIN: &[&str] =
    &["pipe-pixels", "pipe-graph", "pipe-models", "pipe-weights", "pipe-metrics", "pipe-tensorboard"];

/// Libraries that `pipe` must not link, so that it starts in milliseconds.
const HEAVY: &[&str] =
    &["tch", "torch-sys", "ffmpeg-next", "ffmpeg-sys-next", "polars", "arrow", "parquet", "ort", "openvino"];

/// Crates that dispatch over our own enums (ops, transforms, losses, metrics): a `match` without a wildcard arm makes the compiler list what an
/// addition forgot.
const EXHAUSTIVE: &[&str] = &["crates/graph", "crates/models", "crates/learn", "crates/clips"];

#[test]
fn a_crate_depends_only_on_lower_layers() {
    let manifests = manifests();
    let ours: BTreeSet<&str> = manifests.keys().map(String::as_str).collect();
    let mut wrong = Vec::new();
    for (name, manifest) in &manifests {
        let allowed = allowed(&manifest.folder);
        for known in manifest.names.iter().filter(|name| ours.contains(name.as_str())) {
            if !allowed.iter().any(|pattern| matches(pattern, known)) {
                wrong.push(format!("{name} must not depend on {known}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the workspace's crates that a crate in `folder` may depend on; `*` stands for any ending.
fn allowed(folder: &str) -> Vec<&'static str> {
    match folder {
        // Tables and clips are for tests only; `pipe_links_nothing_heavy` checks that.
        // `pipe model` looks into networks and weights, which need no libtorch.
        "" => {
            let own = ["pipe-engine", "pipe-cache", "pipe-stage", "pipe-schemas", "pipe-tables", "pipe-clips"];
            [&own[..], &["pipe-graph", "pipe-models", "pipe-weights"]].concat()
        }
        "crates/engine" => vec!["pipe-cache", "pipe-stage", "pipe-schemas"],
        "crates/stage" | "crates/tables" => vec!["pipe-schemas"],
        "crates/testkit" => vec!["pipe-stage", "pipe-schemas"],
        "cache" | "schemas" | "xtask" | "crates/pixels" => vec![],
        // Fuzz targets call every parser.
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
fn crates_are_in_the_folders_of_the_layout() {
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
                "ort" | "openvino" | "openvino-sys" => name == "pipe-infer",
                "serde_yaml" => name == "pipe-engine",
                "object_store" | "reqwest" => name == "pipe-cache",
                "tokio" => ["pipe-cache", "pipe-infer-worker"].contains(&name.as_str()),
                "hyper" | "hyper-util" => name == "pipe-infer-worker",
                "ureq" => name == "pipe-stage-fetch",
                "rustls" => ["pipe-cache", "pipe-stage-fetch"].contains(&name.as_str()),
                "polars" => data_stages(name),
                _ => true,
            };
            assert!(at_home, "{name} must not depend on {known}");
        }
    }
}

#[test]
fn light_crates_link_nothing_heavy() {
    let pipe = ["pipe", "pipe-engine", "pipe-cache", "pipe-schemas", "pipe-stage"];
    let graph = resolved();
    for start in pipe.iter().chain(LIGHT_DOMAIN) {
        let mut reached = BTreeSet::from([(*start).to_owned()]);
        let mut open = vec![(*start).to_owned()];
        while let Some(name) = open.pop() {
            for known in &graph[&name] {
                assert!(!HEAVY.contains(&known.as_str()), "{start} reaches {known} through {name}");
                if reached.insert(known.clone()) {
                    open.push(known.clone());
                }
            }
        }
    }
    // The walk itself works:
    assert!(graph["pipe-learn"].contains("tch"));
}

#[test]
fn simd_has_one_home() {
    for (name, manifest) in manifests() {
        let sources = sources(&repository().join(&manifest.folder).join("src"));
        let simd = sources
            .iter()
            .find(|(_, text)| ["core::arch::", "std::arch::", "target_feature"].iter().any(|word| text.contains(word)));
        if let Some((path, _)) = simd {
            assert_eq!(name, "pipe-pixels", "{}: SIMD code belongs to crates/pixels", path.display());
        }
    }
}

#[test]
fn wildcard_arms_are_linted_where_capabilities_are_dispatched() {
    for folder in EXHAUSTIVE {
        let path = repository().join(folder).join("src/lib.rs");
        let text = fs_err::read_to_string(&path).expect("a library");
        let lint = "clippy::wildcard_enum_match_arm";
        let on = text.lines().any(|line| line.starts_with("#![") && line.contains(lint) && !line.contains("allow"));
        assert!(on, "{} must turn on {lint}", path.display());
    }
}

/// Values of this process become tensors on the processor. Without a GPU, nothing else would find a kernel that leaves them there.
#[test]
fn kernels_and_losses_make_tensors_where_the_network_is() {
    let mut wrong = Vec::new();
    for folder in ["kernels", "losses"] {
        for (path, text) in sources(&repository().join("crates/learn/src").join(folder)) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let of_device = |statement: &&str| !statement.contains("_device(") && statement.contains("from_slice(");
            let statements =
                code.split(';').filter(|statement| of_device(statement) || statement.contains("Device::Cpu"));
            wrong.extend(statements.map(|statement| format!("{}: {}", path.display(), statement.trim())));
        }
    }
    // The labels of a batch are combined first, and copied as one tensor.
    wrong.retain(|statement| !statement.contains("losses/targets.rs"));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the Rust files below a folder with their text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir().expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs_err::read_to_string(&path).expect("UTF-8");
                found.push((path, text));
            }
        }
    }
    found
}

struct Manifest {
    /// Folder relative to the repository; empty for the root package.
    folder: String,
    /// Every dependency, including those of tests and build scripts, except `pipe-testkit`, which any test may use.
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

/// Returns what each package links, by name, with the features that are enabled.
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
        // Two versions of a package are merged.
        graph.entry(names[text(&node["id"])].to_owned()).or_default().extend(known);
    }
    graph
}

/// Returns the folder of the repository. It is read at run time: one build may serve several copies of the repository.
fn repository() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).parent().expect("xtask is a folder of the repository").to_owned()
}

fn metadata(args: &[&str]) -> Value {
    // Read at run time: one build may serve several copies of the repository.
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
