//! Weights that a training starts from.

use super::*;

#[test]
fn weights_to_start_from_decide_the_first_epoch() {
    let space = Space::new();
    let plain = params(2, 0);
    let made = space.train(&plain, &[], 2, "first");
    space.assemble(&plain, &made, "out");
    let checkpoint = ModelFolder::open(space.path("out/model")).checkpoint_path();
    let list = space.path("load_from.json");
    let load = TrainParams { load_from: Some(LoadFrom::default()), ..plain.clone() };
    let bench = |digest: &str| {
        let file = SourceFile { path: String::new(), digest: digest.into(), size_bytes: 0 };
        fs_err::write(&list, serde_json::to_vec(&[file]).expect("JSON")).expect("written");
        let mut bench = space.bench(&load);
        bench.sources.insert("load_from".into(), Input { files: Some(list.clone()), ..input(&checkpoint) });
        bench
    };
    let (without, with) = (space.plan(&plain), bench("aa").plan().expect("planned"));
    assert_eq!(same(&without, &with), [1]);
    assert_eq!(same(&with, &bench("bb").plan().expect("planned")), [1]);
    // An interrupted chain reports how the weights matched, too.
    let bench = bench("aa");
    let part = part_in(&space.path("loaded"), "0000");
    let first = part.made();
    bench.make(MakeParts::independent(vec![part])).result.expect("trained");
    let part = part_in(&space.path("loaded"), "0001");
    let parts = [first.clone(), part.made()];
    bench.make(MakeParts { earlier: vec![first], parts: vec![part] }).result.expect("trained");
    let ran = bench.assemble(&parts, &space.path("loaded-out"));
    assert!(ran.lines()[1].ends_with(" tensors matched, 0 reinitialised, 0 unused"), "{ran:?}");
}

/// Trains an epoch from the weights at `path`, a file or a folder with these files. Returns the summary, or the error and its help.
fn start_from(space: &Space, path: &Path, files: &[&str]) -> Result<Vec<String>, (String, String)> {
    start_with(space, path, files, &TrainParams { load_from: Some(LoadFrom::default()), ..params(1, 0) })
}

/// Returns a training from the weights at `path`, a file or a folder with these files.
fn load_bench(space: &Space, path: &Path, files: &[&str], params: &TrainParams) -> Bench<'static> {
    let file = |name: &&str| SourceFile { path: (*name).to_owned(), digest: "aa".into(), size_bytes: 0 };
    let list = space.path("load_from.json");
    let files: Vec<SourceFile> = files.iter().map(file).collect();
    fs_err::write(&list, serde_json::to_vec(&files).expect("JSON")).expect("written");
    let mut bench = space.bench(params);
    bench.sources.insert("load_from".into(), Input { files: Some(list), ..input(path) });
    bench
}

fn start_with(
    space: &Space,
    path: &Path,
    files: &[&str],
    params: &TrainParams,
) -> Result<Vec<String>, (String, String)> {
    let bench = load_bench(space, path, files, params);
    let error = |error: pipe_stage::StageError| (error.chain().join(": "), error.help().unwrap_or_default().to_owned());
    let folder = tempfile::tempdir().expect("a folder");
    let part = part_in(folder.path(), "0000");
    let made = [part.made()];
    bench.make(MakeParts::independent(vec![part])).result.map_err(error)?;
    Ok(bench.assemble(&made, &folder.path().join("out")).result.map_err(error)?.lines)
}

#[test]
fn published_weights_are_told_apart_checked_and_reported() {
    let space = Space::new();
    let plain = params(1, 0);
    let made = space.train(&plain, &[], 1, "first");
    space.assemble(&plain, &made, "out");
    let tensors =
        Checkpoint::open(&ModelFolder::open(space.path("out/model")).checkpoint_path()).expect("read").tensors;
    let folder = space.path("published");
    fs_err::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, tensors| write_safetensors(&folder.join(name), &tensors).expect("written");

    // Names as `torch.compile` and `DistributedDataParallel` make them.
    let prefixed = tensors.iter().map(|(name, tensor)| (format!("_orig_mod.module.{name}"), tensor.clone())).collect();
    write("prefixed.safetensors", prefixed);
    let lines = start_from(&space, &folder.join("prefixed.safetensors"), &[""]).expect("trained");
    assert!(lines[1].ends_with(" tensors matched, 0 reinitialised, 0 unused"), "{lines:?}");
    assert_eq!(lines[2], "the tensors have the names of torchvision");
    assert_eq!(lines[3], format!("`_orig_mod.module.` was removed from {} names", tensors.len()));

    // A folder of Hugging Face, and one with two files of the same kind.
    fs_err::write(folder.join("config.json"), "{}").expect("written");
    let lines = start_from(&space, &folder, &["config.json", "prefixed.safetensors"]).expect("trained");
    assert!(lines.contains(&"`prefixed.safetensors` of the folder was read".to_owned()), "{lines:?}");
    write("other.safetensors", tensors.clone());
    let (error, _) = start_from(&space, &folder, &["other.safetensors", "prefixed.safetensors"]).expect_err("two");
    assert!(error.ends_with("it has `other.safetensors` and `prefixed.safetensors`; name the file itself"), "{error}");
    let (error, _) = start_from(&space, &folder, &[]).expect_err("none");
    assert!(error.starts_with("there is no file of weights in "), "{error}");

    let mut bad = tensors.clone();
    let shape = bad["layer1.0.conv1.weight"].shape.clone();
    let mut values = vec![0.5; shape.iter().product()];
    (values[3], values[7]) = (f32::NAN, f32::INFINITY);
    let len = values.len();
    bad.insert("layer1.0.conv1.weight".into(), pipe_weights::Tensor::from_f32(shape, &values));
    write("bad.safetensors", bad);
    let (error, help) = start_from(&space, &folder.join("bad.safetensors"), &[""]).expect_err("NaN");
    let expect = format!("bad.safetensors: NaN or infinity in layer1.0.conv1.weight (2 of {len} values)");
    assert!(error.ends_with(&expect) && help.contains("use another checkpoint"), "{error}; {help}");

    let renamed = tensors.iter().map(|(name, tensor)| (format!("x{name}"), tensor.clone())).collect();
    write("renamed.safetensors", renamed);
    let (error, help) = start_from(&space, &folder.join("renamed.safetensors"), &[""]).expect_err("other names");
    assert!(error.contains("renamed.safetensors: the weights do not fit the network: 0 tensors match"), "{error}");
    assert!(error.lines().count() <= 5 && help.contains("`model.backbone`"), "{error}; {help}");
    assert!(error.contains("(the checkpoint has xbn1.bias)"), "{error}");
}

#[test]
fn a_wrong_map_or_digest_is_refused() {
    let space = Space::new();
    let made = space.train(&params(1, 0), &[], 1, "first");
    space.assemble(&params(1, 0), &made, "out");
    let path = ModelFolder::open(space.path("out/model")).checkpoint_path();
    let start = |load_from: LoadFrom, files: &[&str]| {
        start_with(&space, &path, files, &TrainParams { load_from: Some(load_from), ..params(1, 0) })
    };
    let of_map = |map| LoadFrom { map: Some(map), ..LoadFrom::default() };
    let lines = start(of_map(Project::Torchvision), &[""]).expect("trained");
    assert!(lines.contains(&"the tensors have the names of torchvision".to_owned()), "{lines:?}");
    let (error, _) = start(of_map(Project::Mmaction2), &[""]).expect_err("other names");
    assert!(error.contains("0 tensors match") && error.contains("compared with the names of mmaction2"), "{error}");
    let (error, help) = start(of_map(Project::Pytorchvideo), &[""]).expect_err("no such map");
    assert!(error.contains("there are no names of pytorchvideo for this network"), "{error}");
    assert_eq!(help, "set `load_from.map` to torchvision or mmaction2, or leave it out");
    let (error, help) = start(LoadFrom { inflate: true, ..LoadFrom::default() }, &[""]).expect_err("a 2-D network");
    assert!(error.ends_with("tsm_resnet18 is not inflated from a 2-D network"), "{error}");
    assert_eq!(help, "leave out `load_from.inflate`");

    let FileDigests { sha256, blake3 } = FileDigests::of(&path).expect("read");
    let plan = |digest: &str, files: &[&str]| {
        let load_from = Some(LoadFrom { digest: Some(digest.to_owned()), ..LoadFrom::default() });
        let params = TrainParams { load_from, ..params(1, 0) };
        let error = load_bench(&space, &path, files, &params).plan().err()?;
        Some((error.chain().join(": "), error.help().unwrap_or_default().to_owned()))
    };
    for digest in [&sha256, &blake3, &format!("sha256:{sha256}")] {
        assert_eq!(plan(digest, &[""]), None);
    }
    let wrong = format!("blake3:{sha256}");
    let (error, help) = plan(&wrong, &[""]).expect("another digest");
    assert!(error.contains(&format!("is not {wrong}, but sha256:{sha256} and blake3:{blake3}")), "{error}");
    assert!(help.contains("correct `load_from.digest`"), "{help}");
    let (error, _) = plan(&sha256, &["a.safetensors", "b.safetensors"]).expect("a folder");
    assert!(error.contains("is a folder of several files, which have no common digest"), "{error}");
}

/// How weights are read determines the first epoch; their digest only has to be right.
#[test]
fn how_weights_are_read_decides_the_first_epoch() {
    let space = Space::new();
    let made = space.train(&params(1, 0), &[], 1, "first");
    space.assemble(&params(1, 0), &made, "out");
    let path = ModelFolder::open(space.path("out/model")).checkpoint_path();
    let plan = |load_from: LoadFrom| {
        let params = TrainParams { load_from: Some(load_from), ..params(2, 0) };
        load_bench(&space, &path, &[""], &params).plan().expect("planned")
    };
    let plain = plan(LoadFrom::default());
    let digest = Some(FileDigests::of(&path).expect("read").sha256);
    assert_eq!(same(&plain, &plan(LoadFrom { digest, ..LoadFrom::default() })), [0, 1]);
    assert_eq!(same(&plain, &plan(LoadFrom { map: Some(Project::Pipe), ..LoadFrom::default() })), [1]);
    assert_eq!(same(&plain, &plan(LoadFrom { inflate: true, ..LoadFrom::default() })), [1]);

    let options = LoadFrom { map: Some(Project::Pipe), ..LoadFrom::default() };
    let error = space.bench(&TrainParams { load_from: Some(options), ..params(1, 0) }).plan().expect_err("no file");
    assert_eq!(error.chain(), ["`load_from` has options, but no file is named"]);
}
