"""Measures clip loading against MMAction2 and PyTorch's DataLoader on videos and on JPEG, as ratios within one run.

    cargo xtask bench data --clips CLIPS [--rounds N]

Every program makes the same kind of batches: eight clips of random segments, a `RandomResizedCrop` of each, scaled to the
network's size, mirrored with probability 0.5 and normalised to `[N, C, T, H, W]`. Each figure is the number of clips per
processor second (user plus system time on one thread), the median of several rounds in which the programs take turns. For a
peer, imports and opening files are not counted; for `pipe`, opening the index and drawing the clips are not counted. All read
the same frames: `pipe` writes the shards (short side 256, JPEG quality 90), and the peers on JPEG get their bytes in memory or
as one file per frame. The peers on videos read the original clips. The report names peers that can't be installed.
"""

import argparse, json, pathlib, subprocess, sys, tempfile
from peers import in_turns, mmaction2, output, video_peers

SIZES = {"8 x 3 x 8 x 224 x 224": (8, 224), "8 x 3 x 16 x 112 x 112": (16, 112)}

MMACTION2 = "MMAction2's own pipeline, decord"

# A peer reads a JSON list of its sources, frames, side and number of clips from stdin, and prints clips and seconds.
COMMON = """
import json, math, sys, time
import cv2, numpy as np, torch
cv2.setNumThreads(1); torch.set_num_threads(1)
sources, T, SIDE, CLIPS = json.load(sys.stdin)
rng = np.random.default_rng(0)
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1, 1)

def segments(count):
    return np.sort((np.arange(T) * (count // T) + rng.integers(0, max(count // T, 1), T)) % count).tolist()

def crop(width, height):
    for _ in range(10):
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        area = rng.uniform(0.08, 1.0) * width * height
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if w <= width and h <= height:
            return int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1)), w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side

def clip(frames):
    out = np.empty((T, SIDE, SIDE, 3), np.uint8)
    height, width = frames[0].shape[:2]
    x, y, w, h = crop(width, height)
    flip = rng.random() < 0.5
    for at, frame in enumerate(frames):
        cut = cv2.resize(frame[y : y + h, x : x + w], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        out[at] = cv2.flip(cut, 1) if flip else cut
    return out

class Clips(torch.utils.data.Dataset):
    def __len__(self):
        return CLIPS
    def __getitem__(self, at):
        return torch.from_numpy(clip(frames_of(at % len(sources))))

def run():
    for _ in range(3):
        clip(frames_of(0))
    loader = torch.utils.data.DataLoader(Clips(), batch_size=8, num_workers=0)
    count, start = 0, time.process_time()
    for batch in loader:
        values = batch.permute(0, 4, 1, 2, 3).contiguous().float().sub_(MEAN).div_(STD)
        count += len(values)
    print(count, time.process_time() - start)
"""

# The frames of each video, as arrays of their bytes.
JPEGS = """
import pyarrow.parquet as pq
def videos_of(shards):
    for shard in shards:
        file = pq.ParquetFile(shard)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=["image.bytes"]).column(0).combine_chunks().field("bytes")
"""

PEERS = {
    # Frames are decoded as far as they are wanted, one decoder a clip, as data sets of videos do.
    "DataLoader on torchcodec + OpenCV": """
from torchcodec.decoders import VideoDecoder
def frames_of(at):
    decoder = VideoDecoder(sources[at], num_ffmpeg_threads=1, dimension_order="NHWC", seek_mode="approximate")
    return list(decoder.get_frames_at(segments(decoder.metadata.num_frames)).data.numpy())
run()
""",
    "DataLoader on JPEG in Parquet + OpenCV": JPEGS + """
sources = list(videos_of(sources))
def frames_of(at):
    jpegs = sources[at]
    bytes_of = lambda index: np.frombuffer(jpegs[index].as_buffer(), np.uint8)
    return [cv2.imdecode(bytes_of(index), cv2.IMREAD_COLOR_RGB) for index in segments(len(jpegs))]
run()
""",
    # One folder per video and one file per frame, like MMAction2's rawframes; writing them is not counted.
    "DataLoader on JPEG files + OpenCV": JPEGS + """
import pathlib, tempfile
with tempfile.TemporaryDirectory() as root:
    videos = []
    for jpegs in videos_of(sources):
        folder = pathlib.Path(root, str(len(videos)))
        folder.mkdir()
        for index, jpeg in enumerate(jpegs):
            (folder / f"{index}.jpg").write_bytes(jpeg.as_buffer())
        videos.append((folder, len(jpegs)))
    sources = videos
    def frames_of(at):
        folder, count = videos[at]
        return [cv2.imread(f"{folder}/{index}.jpg", cv2.IMREAD_COLOR_RGB) for index in segments(count)]
    run()
""",
    # Its own transforms, in the order of its TSN configurations, with decord, its fastest decoder on this machine.
    MMACTION2: """
import sys
sys.path.append(sources.pop())
# The published wheel imports a module that it does not contain.
import types
missing = types.ModuleType("mmaction.models.localizers.drn.drn")
missing.DRN = None
sys.modules["mmaction.models.localizers.drn"], sys.modules[missing.__name__] = types.ModuleType("drn"), missing
import warnings
warnings.simplefilter("ignore")
import mmaction.datasets.transforms
from mmaction.models import ActionDataPreprocessor
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
init_default_scope("mmaction")
transforms = Compose([
    dict(type="DecordInit", num_threads=1), dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=T),
    dict(type="DecordDecode"), dict(type="Resize", scale=(-1, 256)), dict(type="RandomResizedCrop"),
    dict(type="Resize", scale=(SIDE, SIDE), keep_ratio=False), dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCHW"), dict(type="PackActionInputs"),
])
normalise = ActionDataPreprocessor(mean=MEAN.flatten().tolist(), std=STD.flatten().tolist(), format_shape="NCHW")
class Videos(Clips):
    def __getitem__(self, at):
        return transforms(dict(filename=sources[at % len(sources)], label=0, start_index=0, modality="RGB"))
for at in range(3):
    Videos()[at]
count, start = 0, time.process_time()
for batch in torch.utils.data.DataLoader(Videos(), batch_size=8, collate_fn=pseudo_collate):
    count += len(normalise(batch, training=True)["inputs"])
print(count, time.process_time() - start)
""",
}

def frames(pipe, clips, folder):
    """Writes frame shards of the clips and returns their folder."""
    (folder / ".pipe").mkdir()
    text = f"""
pipeline: bench
stages:
  videos: {{ uses: ingest, with: {{ root: {json.dumps(str(clips))}, include: ["**/*.avi"] }} }}
  frames:
    uses: frames
    inputs: {{ videos: videos }}
    with: {{ resize: {{ short_side_px: 256 }}, encode: {{ jpeg: {{ quality: 90 }} }}, buckets: 4 }}
"""
    (folder / "bench.yaml").write_text(text)
    subprocess.run([pipe, "run", "bench.yaml"], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return next((folder / ".pipe" / "out" / "bench" / "frames").rglob("index.parquet")).parent


def peer_rate(python, env, source, given):
    # The result is the last line; MMAction2 prints messages before it.
    clips, seconds = output([python, "-c", COMMON + source], json.dumps(given), env).splitlines()[-1].split()
    return int(clips) / float(seconds)


def pipe_rate(program, shards, frames, side, clips):
    return json.loads(output([program, shards, frames, side, clips, 1]))["clips_per_cpu_sec"]


def loader(program, shards, clips, rounds, num_clips):
    """Prints the clips per processor second of each program."""
    found = video_peers()
    if found is None:
        print("left out the peers: they can't be installed on this machine")
    videos = sorted(str(path.resolve()) for path in clips.rglob("*.avi"))
    jpegs = sorted(str(path) for path in shards.glob("shard-*.parquet"))
    sources = {
        "DataLoader on torchcodec + OpenCV": videos,
        "DataLoader on JPEG in Parquet + OpenCV": jpegs,
        "DataLoader on JPEG files + OpenCV": jpegs,
    }
    if found is not None and (packages := mmaction2(found[0])) is not None:
        sources[MMACTION2] = [*videos, str(packages)]
    for title, (frames, side) in SIZES.items():
        runs = {"pipe": lambda: pipe_rate(program, shards, frames, side, num_clips)}
        if found is not None:
            for name, from_ in sources.items():
                given = [from_, frames, side, num_clips // 4]
                runs[name] = lambda name=name, given=given: peer_rate(*found, PEERS[name], given)
        medians = in_turns(runs, rounds, PEERS)
        print(f"\n{title}, clips per processor second")
        for name, rate in medians.items():
            ratio = "" if name == "pipe" else f"   pipe / peer {medians['pipe'] / rate:5.2f}"
            print(f"  {name:40} {rate:8.1f}{ratio}")
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench data")
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("--clips", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num-clips", type=int, default=512)
    args = parser.parse_args()
    program = args.pipe.parent / "examples" / "throughput"
    # Existing programs are rebuilt, so that the current code is measured.
    for package in (["pipe-data-worker"], ["pipe-clips", "--example", "throughput"]):
        build = ["cargo", "build", "--release", "--package", *package]
        subprocess.run(build, cwd=pathlib.Path(__file__).parent, check=True)
    with tempfile.TemporaryDirectory() as folder:
        shards = frames(args.pipe.resolve(), args.clips.resolve(), pathlib.Path(folder))
        loader(program, shards, args.clips, args.rounds, args.num_clips)


if __name__ == "__main__":
    main()
