"""Measures what int8 and pruning cost and gain: one table per network.

    cargo xtask bench optimization --clips FOLDER --weights FILE [--only NETWORK] [--folder WORK]

Small versions of four networks learn the motions of generated clips (those of `pipelines/smoke.yaml`; 400 for training and 80 of other
groups for the test). MobileNetV2 (TSN, TSM) starts from ImageNet weights (FILE, torchvision's) and learns the real clips of FOLDER, which has
a folder of videos of UCF101 per class: the classes with two groups or more, one half of the groups for training, the other for the test.

R3D-18, X3D-S, ResNet-18 (TSN) and VideoMAE-S of published size (`*_published`) begin with drawn weights. The first two learn the same motions, at their own clip
sizes. TSN does not see the order of frames, and a transformer of this size does not learn motions from 400 clips, so the others learn pieces of 0.72 seconds of all
clips of FOLDER: one begins each second, in turns for training and for the test. They train with frames of half the size first; the table of positions of the
transformer (`img_size`) is then resized. Training and test pieces come from the same videos: the accuracy compares the variants, and says nothing about new videos.

Each network is a baseline in 32 bits, int8 of it, and, except X3D and TSM with MobileNetV2, pruned to half of its multiply-adds, before and after
training again, with int8 of that. `uses: benchmark` measures all of them in one run on ONNX Runtime and OpenVINO, so run it on a machine that does nothing else.
"""

import argparse, json, pathlib, subprocess, tempfile
from fine_tuning import classes, write_lists

# Name: backbone, whether it is pruned, epochs, and the learning rate of AdamW. Transformers need more epochs than convolutions.
MOTION = {
    "tsm_resnet18": ("{ type: ResNetTSM, depth: 18, base_channels: 16, shift_div: 4 }", True, 12, 0.002),
    "r3d_18": ("{ type: R3D, base_channels: 16 }", True, 12, 0.002),
    "x3d": ("{ type: X3D, base_channels: 12, gamma_d: 1.0, fc1_channels: 128 }", False, 24, 0.002),
    "videomae": (
        "{ type: VisionTransformer, img_size: [48, 64], patch_size: 8, embed_dims: 96, depth: 4, num_heads: 4, num_frames: 8 }", True, 30, 0.001,
    ),
}
# Name: backbone, and whether it is pruned.
REAL = {"tsn_mobilenet_v2": ("{ type: MobileNetV2 }", True), "tsm_mobilenet_v2": ("{ type: MobileNetV2TSM }", False)}

# Networks of published size. Name: backbone, data, sampler, size of a frame (height, width), epochs and optimizer wrapper, those of training after pruning
# (None: it is not pruned), and those of training with frames of half the size before.
AMP = "type: AmpOptimWrapper, dtype: bfloat16, "
PUBLISHED = {
    "r3d_18_published": (
        "{ type: R3D }", "motion", "clip_len: 16, frame_interval: 1", (112, 112),
        (3, AMP + "optimizer: { type: AdamW, lr: 0.0005 }"), (3, AMP + "optimizer: { type: AdamW, lr: 0.0005 }"), None,
    ),
    "x3d_s_published": (
        "{ type: X3D }", "motion", "clip_len: 13, frame_interval: 1", (160, 160), (5, "optimizer: { type: AdamW, lr: 0.002 }"), None, None,
    ),
    "resnet18_published": (
        "{ type: ResNet, depth: 18 }", "pieces", "clip_len: 1, frame_interval: 1, num_clips: 8", (224, 224),
        (4, AMP + "optimizer: { type: AdamW, lr: 0.0002 }"), (4, AMP + "optimizer: { type: AdamW, lr: 0.0005 }"),
        (14, AMP + "optimizer: { type: AdamW, lr: 0.0005 }"),
    ),
    "videomae_s_published": (
        "{ type: VisionTransformer, embed_dims: 384, num_heads: 6, img_size: 112 }", "pieces", "clip_len: 16, frame_interval: 1", (224, 224),
        (2, AMP + "optimizer: { type: AdamW, lr: 0.0002 }"), (2, AMP + "optimizer: { type: AdamW, lr: 0.0002 }"),
        (14, AMP + "optimizer: { type: AdamW, lr: 0.0005 }"),
    ),
}

# Measured passes per round, and rounds, of networks of published size, whose passes take up to half a second.
PASSES = (10, 3)

# Parameters of pruning for layers of a few channels.
SMALL = ", min_channels: 4, round_to: 2"

MOTION_VIDEOS = """
  clips:
    uses: synthesize
    with: {{ classes: [move_left, move_right, move_up, move_down, rotate_clockwise], groups: 48, test_groups: 8, clips_per_group: 2, frames_per_clip: 24, width_px: {width}, height_px: {height} }}
  videos: {{ uses: ingest, inputs: {{ folder: clips }} }}
  labels: {{ uses: annotations, inputs: {{ videos: videos, lists: clips.lists }}, with: {{ format: ucf101 }} }}
  frames: {{ uses: frames, inputs: {{ videos: videos }}, with: {{ resize: none, encode: {{ jpeg: {{ quality: 90 }} }} }} }}
"""

MOTION_SAMPLES = """
  samples:
    uses: augment
    inputs: { frames: frames, labels: labels }
    with:
      epochs: 30
      train: { sampler: { type: SampleFrames, clip_len: 8, frame_interval: 2 }, transforms: [{ type: Resize, scale: { exact: [64, 48] } }] }
      test: { sampler: { type: SampleFrames, clip_len: 8, frame_interval: 2, num_clips: 3 }, transforms: [{ type: Resize, scale: { exact: [64, 48] } }] }
"""

# A piece is as long as 18 frames at 25 fps. Those that begin after the end of their video are left out.
PIECE_SECS, MAX_PIECES = 0.72, 8

PIECES_VIDEOS = """
  videos: {{ uses: ingest, with: {{ root: {root}, include: ["*/*"] }} }}
  labels:
    uses: annotations
    inputs: {{ videos: videos }}
    with:
      format: table
      root: pieces
      file: pieces.csv
      columns: {{ video: video, label: label, subset: subset, start: start, end: end }}
      group: none
      split_overlap: warn
  frames: {{ uses: frames, inputs: {{ videos: videos }}, with: {{ resize: {{ short_side_px: 240 }}, encode: {{ jpeg: {{ quality: 90 }} }} }} }}
"""

# No flip for motion: it would turn left into right.
PUBLISHED_SAMPLES = """
  samples:
    uses: augment
    inputs: {{ frames: frames, labels: labels }}
    with:
      epochs: 30
      train:
        sampler: {{ type: SampleFrames, {sampler} }}
        transforms: [{augment}{{ type: Resize, scale: {{ exact: [{width}, {height}] }} }}]
      test:
        sampler: {{ type: SampleFrames, {sampler} }}
        transforms: [{{ type: Resize, scale: {{ exact: [{width}, {height}] }} }}]
"""
AUGMENT = {"motion": "", "pieces": "{ type: RandomResizedCrop, area_range: [0.5, 1.0] }, { type: Flip, flip_ratio: 0.5 }, "}

REAL_DATA = """
  videos: {{ uses: ingest, with: {{ root: {root}, include: [{include}] }} }}
  labels: {{ uses: annotations, inputs: {{ videos: videos }}, with: {{ format: ucf101, root: lists }} }}
  frames: {{ uses: frames, inputs: {{ videos: videos }}, with: {{ resize: {{ short_side_px: 182 }}, encode: {{ jpeg: {{ quality: 90 }} }} }} }}
  samples:
    uses: augment
    inputs: {{ frames: frames, labels: labels }}
    with:
      epochs: 24
      train:
        sampler: {{ type: SampleFrames, clip_len: 1, frame_interval: 1, num_clips: 8 }}
        transforms: [{{ type: RandomResizedCrop }}, {{ type: Resize, scale: {{ exact: [160, 160] }} }}, {{ type: Flip, flip_ratio: 0.5 }}]
      test:
        sampler: {{ type: SampleFrames, clip_len: 1, frame_interval: 1, num_clips: 8 }}
        transforms: [{{ type: Resize, scale: {{ short_side_px: 182 }} }}, {{ type: CenterCrop, crop_size: 160 }}]
"""

TRAINED = """
  {name}:
    uses: train
    inputs: {{ frames: frames, samples: samples{port} }}
    with:
      model: {{ backbone: {backbone}, cls_head: {{ dropout_ratio: 0.0, init_std: 0.01 }} }}
      train_dataloader: {{ batch_size: {batch} }}
      optim_wrapper: {{ {optimizer}, clip_grad: {{ max_norm: 20 }} }}
      param_scheduler: [{{ type: LinearLR, start_factor: 0.1, end: 1, convert_to_iter_based: true }}, {{ type: CosineAnnealingLR, begin: 1, end: {epochs}, convert_to_iter_based: true }}]
      train_cfg: {{ max_epochs: {epochs}, val_interval: {epochs} }}
      {more}
"""

EXPORTED = """
  {name}_onnx: {{ uses: export, inputs: {{ model: {name}, frames: frames, samples: samples }} }}
  {name}_int8: {{ uses: optimize, inputs: {{ model: {name}, frames: frames, samples: samples }}, with: {{ quantize: {{ type: int8, symmetric: {symmetric} }} }} }}
"""

PRUNED = """
  {name}_pruned:
    uses: optimize
    inputs: {{ model: {name}, frames: frames, samples: samples }}
    with: {{ prune: {{ type: channels, target: {{ macs: 0.5 }}{widths} }} }}
"""

TABLE = """
  {name}_table:
    uses: benchmark
    inputs: {{ frames: frames, samples: samples, fp32: {name}_onnx, int8: {name}_int8.onnx{more} }}
    with: {{ baseline: fp32, engines: [onnxruntime, openvino], num_runs: {num_runs}, num_rounds: {num_rounds} }}
"""


def stages(name, backbone, trained, tuned, batch, more, widths="", passes=(30, 5)):
    """Returns the stages of a network. `trained` are epochs and the optimizer of the first training, `tuned` those after pruning, if it is pruned.
    `widths` are parameters of pruning, `passes` the number of measured ones per round, and of rounds."""
    # OpenVINO needs it for depthwise convolutions over frames.
    symmetric = "true" if "X3D" in backbone else "false"
    values = {"backbone": backbone, "batch": batch, "symmetric": symmetric}
    text = (TRAINED + EXPORTED).format(name=name, port="", more=more, epochs=trained[0], optimizer=trained[1], **values)
    variants = ""
    if tuned is not None:
        text += PRUNED.format(name=name, widths=widths)
        port = f", model: {name}_pruned"
        text += (TRAINED + EXPORTED).format(name=f"{name}_tuned", port=port, more="", epochs=tuned[0], optimizer=tuned[1], **values)
        variants = f", pruned: {name}_pruned.onnx, pruned_tuned: {name}_tuned_onnx, pruned_tuned_int8: {name}_tuned_int8.onnx"
    return text + TABLE.format(name=name, more=variants, num_runs=passes[0], num_rounds=passes[1])


def published(name, root):
    """Returns the pipelines of a network of published size: the last one has its table, one before it trains with frames of half the size."""
    backbone, data, sampler, (height, width), trained, tuned, before = PUBLISHED[name]
    videos = {"motion": MOTION_VIDEOS.format(width=160, height=120), "pieces": PIECES_VIDEOS.format(root=root)}[data]
    samples = lambda share: PUBLISHED_SAMPLES.format(sampler=sampler, height=height // share, width=width // share, augment=AUGMENT[data])
    if before is None:
        return [videos + samples(1) + stages(name, backbone, trained, tuned, 8, "", passes=PASSES)]
    half = TRAINED.format(name="half", port="", backbone=backbone, epochs=before[0], optimizer=before[1], batch=6, more="")
    load = f"load_from: {{ checkpoint: .pipe/out/{name}/half/model }}"
    return [videos + samples(2) + half, videos + samples(1) + stages(name, backbone, trained, tuned, 6, load, passes=PASSES)]


def write_pieces(folder, clips):
    """Writes the list of pieces: one that begins each second, in turns for training and for the test."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["video,label,subset,start,end"]
    for video in sorted(path for path in clips.glob("*/*") if path.is_file()):
        for piece in range(MAX_PIECES):
            subset = ["train", "test"][piece % 2]
            rows.append(f"{video.relative_to(clips)},{video.parent.name},{subset},{piece},{piece + PIECE_SECS}")
    (folder / "pieces.csv").write_text("\n".join(rows) + "\n")


def report(folder, name):
    """Prints the table of a network."""
    report = json.loads((folder / f"{name}_table/metrics.json").read_text())
    before = next(row for row in report["rows"] if row["variant"] == "fp32")
    print(f"\n{name}: {report['num_videos']} test videos, latency of {report['batch_size']} clip, {report['threads']} threads, {report['processor']}")
    print("| variant | engine | top-1 | change (interval) | size | multiply-adds | p50 ms | p99 ms | peak memory |\n|---|---|---|---|---|---|---|---|---|")
    for row in report["rows"]:
        named = f"| {row['variant']} | {row['engine'].split()[0]} |"
        if row["unsupported"]:
            print(f"{named} unsupported: {row['unsupported']} | | | | | | |")
            continue
        share = lambda key: f"{row[key] / before[key]:.3f}"
        change = f"{100 * row['change']:+.1f} ({100 * row['change_low']:+.1f} to {100 * row['change_high']:+.1f})"
        print(f"{named} {100 * row['accuracy']:.1f} % | {change} | {share('size_bytes')} | {share('macs')} | "
              f"{row['latency_p50_ms']:.2f} | {row['latency_p99_ms']:.2f} | {row['peak_memory_bytes'] / 1e6:.0f} MB |")


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench optimization")
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("--clips", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--only")
    parser.add_argument("--folder", type=pathlib.Path, help="where to run, to keep the results")
    options = parser.parse_args()
    pipe, clips = options.pipe.resolve(), options.clips.resolve()
    folder = (options.folder or pathlib.Path(tempfile.mkdtemp())).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    found = classes(clips)
    write_lists(folder / "lists", found, 1)
    write_pieces(folder / "pieces", clips)
    include = ", ".join(f'"{name}/*"' for name in found)
    load = f"load_from: {{ checkpoint: {json.dumps(str(options.weights.resolve()))} }}"
    real = REAL_DATA.format(root=json.dumps(str(clips)), include=include)
    # A rate as `lr_finder` suggests them here.
    sgd = "optimizer: { type: SGD, lr: 0.004, momentum: 0.9, weight_decay: 0.0001 }"
    adamw = lambda lr: f"optimizer: {{ type: AdamW, lr: {lr} }}"
    texts = {}
    for name, (backbone, is_pruned, epochs, lr) in MOTION.items():
        training = (epochs, adamw(lr))
        of_network = stages(name, backbone, training, training if is_pruned else None, 16, "", SMALL)
        texts[name] = ("motion", [MOTION_VIDEOS.format(width=96, height=72) + MOTION_SAMPLES + of_network])
    for name, (backbone, is_pruned) in REAL.items():
        texts[name] = ("real", [real + stages(name, backbone, (24, sgd), (24, sgd) if is_pruned else None, 5, load)])
    texts |= {name: (name, published(name, json.dumps(str(clips)))) for name in PUBLISHED}
    for name, (kind, pipelines) in texts.items():
        if options.only in (None, name):
            for text in pipelines:
                (folder / f"{name}.yaml").write_text(f"pipeline: {kind}\nstages:" + text)
                subprocess.run([pipe, "run", f"{name}.yaml", "--no-lock"], cwd=folder, check=True)
            report(folder / f".pipe/out/{kind}", name)


if __name__ == "__main__":
    main()
