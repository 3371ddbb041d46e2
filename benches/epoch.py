"""Measures a whole epoch of training, from videos to updated weights, against PyTorch with a DataLoader on torchcodec.

    cargo xtask bench epoch --clips FOLDER [--rounds N]

`FOLDER` has one folder of videos per class. Both train MobileNetV2-TSM from random weights with SGD on two threads: batches of four clips of
eight random frames, `RandomResizedCrop` to 224 px, mirrored with probability 0.5. `pipe` reads the shards that its stage `frames` wrote (full
size, JPEG quality 90; their making is not counted, it happens once), the peer decodes the frames of each clip from the videos, in as many
processes as are faster (0, 1 or 2). An epoch is the difference between a training of two epochs and one of one epoch, so that neither imports
nor the start of programs count; wall and CPU seconds with all child processes, medians of rounds in which the programs take turns.
"""

import argparse, json, pathlib, statistics, subprocess, tempfile
from peers import video_peers
from turns import measure

PEER = """
import json, sys, time, torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchcodec.decoders import VideoDecoder
from torchvision.models import mobilenet_v2
from torchvision.transforms import v2

videos, epochs, workers = json.loads(sys.argv[1])
torch.set_num_threads(2)
T = 8
crop = v2.Compose([v2.RandomResizedCrop(224, antialias=False), v2.RandomHorizontalFlip()])
mean = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
std = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)

class Clips(Dataset):
    def __len__(self):
        return len(videos)
    def __getitem__(self, at):
        path, label = videos[at]
        decoder = VideoDecoder(path, num_ffmpeg_threads=1, seek_mode="approximate")
        count = decoder.metadata.num_frames
        segment = max(count // T, 1)
        frames = [min(index * count // T + int(torch.randint(segment, ())), count - 1) for index in range(T)]
        return crop(decoder.get_frames_at(frames).data), label

class Shift(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
    def forward(self, x):
        m, c, h, w = x.shape
        x, fold = x.view(-1, T, c, h, w), c // 8
        zeros = torch.zeros_like(x[:, :1, :fold])
        earlier = torch.cat((x[:, 1:, :fold], zeros), 1)
        later = torch.cat((zeros, x[:, :-1, fold:2 * fold]), 1)
        return self.layer(torch.cat((earlier, later, x[:, :, 2 * fold:]), 2).view(m, c, h, w))

model = mobilenet_v2(num_classes=len({label for _, label in videos}))
for block in model.features:
    if getattr(block, "use_res_connect", False) and len(block.conv) == 4:
        block.conv[0] = Shift(block.conv[0])
model = model.train().to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
extra = {"prefetch_factor": 2, "persistent_workers": True} if workers else {}
loader = DataLoader(Clips(), batch_size=4, shuffle=True, num_workers=workers, **extra)
for _ in range(epochs):
    for clips, labels in loader:
        x = clips.flatten(0, 1).float().sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        logits = model(x).unflatten(0, (len(labels), T)).mean(1)
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
"""

PIPELINE = """
pipeline: epoch
vars: {{ epochs: 2, seed: 0 }}
stages:
  videos: {{ uses: ingest, with: {{ root: {clips} }} }}
  frames: {{ uses: frames, inputs: {{ videos: videos }}, with: {{ encode: {{ jpeg: {{ quality: 90 }} }} }} }}
  labels: {{ uses: annotations, inputs: {{ videos: videos }}, with: {{ format: video_list, root: lists, train: train.txt, test: test.txt, num_classes: {num_classes} }} }}
  samples:
    uses: augment
    inputs: {{ frames: frames, labels: labels }}
    with:
      epochs: 2
      train:
        sampler: {{ type: SampleFrames, clip_len: 1, frame_interval: 1, num_clips: 8 }}
        transforms:
          - {{ type: RandomResizedCrop }}
          - {{ type: Resize, scale: {{ exact: [224, 224] }} }}
          - {{ type: Flip, flip_ratio: 0.5 }}
      test:
        sampler: {{ type: SampleFrames, clip_len: 1, frame_interval: 1, num_clips: 8 }}
        transforms:
          - {{ type: Resize, scale: {{ short_side_px: 256 }} }}
          - {{ type: CenterCrop, crop_size: 224 }}
  model:
    uses: train
    inputs: {{ frames: frames, samples: samples }}
    with:
      seed: "${{seed}}"
      model: {{ backbone: {{ type: MobileNetV2TSM }}, cls_head: {{ dropout_ratio: 0.2 }} }}
      train_dataloader: {{ batch_size: 4 }}
      optim_wrapper: {{ optimizer: {{ type: SGD, lr: 0.01, momentum: 0.9, weight_decay: 0.0001 }} }}
      train_cfg: {{ max_epochs: "${{epochs}}", val_interval: 100 }}
"""


def epoch(run):
    """Returns the wall and CPU seconds of an epoch, where `run(epochs)` measures a training."""
    one, two = run(1), run(2)
    return [long - short for short, long in zip(one, two)]


def runs(args, folder):
    """Returns a function for each program that measures a training of so many epochs."""
    clips = args.clips.resolve()
    classes = sorted(path.name for path in clips.iterdir() if path.is_dir())
    videos = [(path, classes.index(path.parent.name)) for path in sorted(clips.glob("*/*.avi"))]
    # The validation after the last epoch has one video; it is in the training of one epoch as in that of two.
    *train, test = [f"{path.relative_to(clips)} {label}\n" for path, label in videos]
    (folder / "lists").mkdir()
    (folder / "lists/train.txt").write_text("".join(train))
    (folder / "lists/test.txt").write_text(test)
    (folder / "epoch.yaml").write_text(PIPELINE.format(clips=json.dumps(str(clips)), num_classes=len(classes)))
    pipe, seed = args.pipe.resolve(), iter(range(1, 1000))
    subprocess.run([pipe, "run", "epoch.yaml", "--until", "samples"], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def ours(epochs):
        # Another seed is another training; with the same one, its epochs would be taken from the store.
        sets = ["--set", f"vars.epochs={epochs}", "--set", f"vars.seed={next(seed)}"]
        return measure([str(pipe), "run", "epoch.yaml", *sets], folder)

    found = {"pipe": ours}
    if (peers := video_peers()) is not None:
        python, env = peers
        trained = [(str(path), label) for path, label in videos[:-1]]

        def peer(workers):
            return lambda epochs: measure([str(python), "-c", PEER, json.dumps([trained, epochs, workers])], folder, {**env, "OMP_WAIT_POLICY": "passive"})

        tried = {workers: peer(workers)(1)[0] for workers in (0, 1, 2)}
        fastest = min(tried, key=tried.get)
        print("a training of one epoch of the peer, by worker processes: " + ", ".join(f"{workers}: {secs:.2f} s" for workers, secs in tried.items()))
        found[f"DataLoader on torchcodec, {fastest} workers"] = peer(fastest)
    else:
        print("left out: PyTorch with torchcodec, which can't be installed")
    return found


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench epoch")
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("--clips", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    # Existing programs are rebuilt, so that the current code is measured.
    build = ["cargo", "build", "--release", "--package", "pipe-data-worker", "--package", "pipe-torch-worker"]
    subprocess.run(build, cwd=pathlib.Path(__file__).parent, check=True)
    with tempfile.TemporaryDirectory() as scratch:
        programs = runs(args, pathlib.Path(scratch))
        seconds = {name: [] for name in programs}
        for _ in range(args.rounds):
            for name, run in programs.items():
                seconds[name].append(epoch(run))
    figures = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in seconds.items()}
    for name, (wall, cpu) in figures.items():
        ratio = "" if name == "pipe" else f"   pipe / peer  wall {figures['pipe'][0] / wall:5.2f}  CPU {figures['pipe'][1] / cpu:5.2f}"
        print(f"{name:40} {wall:7.2f} s, CPU {cpu:7.2f} s{ratio}")


if __name__ == "__main__":
    main()
