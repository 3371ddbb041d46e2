"""Fine-tunes ImageNet weights on real clips: what is trained, from which weights, with which learning rate.

    cargo xtask bench fine_tuning --clips FOLDER --weights mobilenet_v2-b0353104.pth [--seeds 3] [--epochs N]

`FOLDER` has one folder per class, with the file names of UCF101. Classes with at least two groups are used, and half of the groups of each class are
held out, so that no test clip shows a scene of a training clip. One pipeline trains TSN with MobileNetV2 for every combination:

- head: only the classifier is trained; last stage: the last two blocks and the classifier; all: the whole network; scratch: the whole
  network from random weights;
- with a learning rate that was written down, and with the one that `lr_finder` suggests; from random weights only the former, because
  in 60 steps on so few clips the loss falls too little for a suggestion, and the stage says so;
- with three seeds, each of which splits the groups, draws the clips and initialises the classifier in another way.

The report has a row per combination: mean and range over the seeds of the accuracy on the test clips, with the number of test clips.
"""

import argparse, json, pathlib, re, subprocess, tempfile

PARTS = {
    "head": ("freeze: { only_head: true }", True, 0.05),
    "last stage": ("freeze: { patterns: [" + ", ".join(f"features.{block}" for block in range(17)) + "] }", True, 0.02),
    "all": ("", True, 0.01),
    "scratch": ("", False, 0.02),
}

SEED = """
  labels{seed}:
    uses: annotations
    inputs: {{ videos: videos }}
    with: {{ format: ucf101, root: lists, split: {split} }}
  samples{seed}:
    uses: augment
    inputs: {{ frames: frames, labels: labels{seed} }}
    with:
      seed: {seed}
      epochs: {epochs}
      train:
        sampler: {{ type: SampleFrames, clip_len: 1, frame_interval: 1, num_clips: 4 }}
        transforms:
          - {{ type: RandomResizedCrop }}
          - {{ type: Resize, scale: {{ exact: [160, 160] }} }}
          - {{ type: Flip, flip_ratio: 0.5 }}
      test:
        sampler: {{ type: SampleFrames, clip_len: 1, frame_interval: 1, num_clips: 8 }}
        transforms:
          - {{ type: Resize, scale: {{ short_side_px: 182 }} }}
          - {{ type: CenterCrop, crop_size: 160 }}
"""

NETWORK = """
      seed: {seed}
      model:
        backbone: {{ type: MobileNetV2 }}
        cls_head: {{ dropout_ratio: 0.2, init_std: 0.01 }}
      train_dataloader: {{ batch_size: 5 }}
      {load}
      {freeze}
      optim_wrapper:
        optimizer: {{ type: SGD, {rate}momentum: 0.9, weight_decay: 0.0001 }}
        clip_grad: {{ max_norm: 20 }}
"""

FINDER = """
  lr_{name}:
    uses: lr_finder
    inputs: {{ frames: frames, samples: samples{seed} }}
    with:{network}      end_lr: 0.5
      num_iters: 60
"""

MODEL = """
  model_{name}:
    uses: train
    inputs: {{ frames: frames, samples: samples{seed}{found} }}
    with:{network}      param_scheduler: [{{ type: CosineAnnealingLR, end: {epochs}, convert_to_iter_based: true }}]
      train_cfg: {{ max_epochs: {epochs}, val_interval: {epochs} }}
  eval_{name}:
    uses: evaluate
    inputs: {{ model: model_{name}, frames: frames, samples: samples{seed} }}
"""


def classes(clips):
    """Clips by class and group, of the classes with two groups or more."""
    found = {}
    for file in sorted(clips.glob("*/*")):
        if group := re.search(r"_(g\d+)_", file.name):
            found.setdefault(file.parent.name, {}).setdefault(group[1], []).append(f"{file.parent.name}/{file.name}")
    return {name: groups for name, groups in found.items() if len(groups) > 1}


def write_lists(folder, found, seeds):
    """Writes lists in the format of UCF101, with half of the groups of each class in each list."""
    folder.mkdir(exist_ok=True)
    (folder / "classInd.txt").write_text("".join(f"{index + 1} {name}\n" for index, name in enumerate(found)))
    for seed in range(seeds):
        train, test = "", ""
        for index, groups in enumerate(found.values()):
            for place, clips in enumerate(groups.values()):
                if (place + seed) % 2 == 0:
                    train += "".join(f"{clip} {index + 1}\n" for clip in clips)
                else:
                    test += "".join(f"{clip}\n" for clip in clips)
        (folder / f"trainlist{seed + 1:02}.txt").write_text(train)
        (folder / f"testlist{seed + 1:02}.txt").write_text(test)


def pipeline(clips, weights, seeds, epochs):
    """The pipeline file, and the stages of each combination."""
    include = ", ".join(f'"{name}/*"' for name in classes(clips))
    text = f"pipeline: fine_tuning\nstages:\n  videos: {{ uses: ingest, with: {{ root: {json.dumps(str(clips))}, include: [{include}] }} }}\n"
    text += "  frames: { uses: frames, inputs: { videos: videos }, with: { resize: { short_side_px: 182 }, encode: { jpeg: { quality: 90 } } } }\n"
    names = {}
    for seed in range(seeds):
        text += SEED.format(seed=seed, split=seed + 1, epochs=epochs)
        for part, (freeze, is_loaded, rate) in PARTS.items():
            load = f"load_from: {{ checkpoint: {json.dumps(str(weights))} }}" if is_loaded else ""
            for found in (False, True) if is_loaded else (False,):
                name = f"{part.replace(' ', '_')}_{'found' if found else 'written'}_{seed}"
                names.setdefault((part, found), []).append(name)
                network = lambda rate: NETWORK.format(seed=seed, load=load, freeze=freeze, rate=rate)
                if found:
                    text += FINDER.format(name=name, seed=seed, network=network("lr: auto, "))
                rate_text = "lr: auto, " if found else f"lr: {rate}, "
                port = f", lr: lr_{name}" if found else ""
                text += MODEL.format(name=name, seed=seed, epochs=epochs, found=port, network=network(rate_text))
    return text, names


def report(out, names):
    def figures(stage):
        return json.loads((out / f"eval_{stage}/metrics.json").read_text())

    print("| trained | learning rate | top-1 | lowest to highest | test clips |\n|---|---|---|---|---|")
    for (part, found), stages in names.items():
        top1 = [100 * figures(stage)["top1"] for stage in stages]
        tested = sorted({figures(stage)["num_videos"] for stage in stages})
        rate = PARTS[part][2]
        if found:
            rate = "found: " + ", ".join(str(json.loads((out / f"lr_{stage}/lr.json").read_text())["lr"]) for stage in stages)
        spread = f"{min(top1):.1f} to {max(top1):.1f}"
        print(f"| {part} | {rate} | {sum(top1) / len(top1):.1f} % | {spread} % | {' or '.join(map(str, tested))} |")


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench fine_tuning")
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("--clips", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, choices=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--folder", type=pathlib.Path, help="where to run, to keep the results")
    args = parser.parse_args()
    if not (args.pipe.parent / "pipe-torch-worker").exists():
        build = ["cargo", "build", "--release", "--package", "pipe-data-worker", "--package", "pipe-torch-worker"]
        subprocess.run(build, cwd=pathlib.Path(__file__).parent, check=True)
    text, names = pipeline(args.clips.resolve(), args.weights.resolve(), args.seeds, args.epochs)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or pathlib.Path(scratch)
        folder.mkdir(exist_ok=True)
        (folder / "fine_tuning.yaml").write_text(text)
        write_lists(folder / "lists", classes(args.clips), args.seeds)
        subprocess.run([args.pipe.resolve(), "run", "fine_tuning.yaml"], cwd=folder, check=True)
        report(folder / ".pipe/out/fine_tuning", names)


if __name__ == "__main__":
    main()
