"""Measures predictions from the file to the top classes against two Python scripts, in videos per CPU second.

    cargo xtask bench predict --clips FOLDER [--rounds N] [--only NETWORK] [--folder WORK]

FOLDER has a folder of videos per class. A pipeline imports weights that were drawn (the time does not depend on them) and exports the
network; `pipe predict` then reads the exported file and all videos. The peers do the same work per video: 8 frames, one per segment,
short side 256, centre crop 224 x 224, normalisation, softmax, top 5.

- torchcodec + PyTorch eager: frames by torchcodec, resized by torchvision, the network of torchvision (with temporal shift) in its
  faster memory format
- decord + ONNX Runtime: frames by decord, resized by OpenCV, the file that `pipe` exported

All of these compute in 32 bits. With less precision, `pipe` also takes its turns with `--precision bfloat16`, where the processor has it, and with
the int8 file of `optimize` in both engines; a third peer is the first one with PyTorch's autocast to bfloat16.

Each round runs all of them once, in turns, with two threads. `pipe` is started anew each time; the peers have loaded their network and
libraries before, so their figures are without that time. Figures are medians over the rounds.
"""

import argparse, json, os, pathlib, resource, shutil, statistics, subprocess, sys, tempfile, time
from peers import cache_folder, installed, lent_ffmpeg, python_with
from turns import Program

FORWARD = ["torch==2.13.0", "torchvision==0.28.0", "transformers==5.24.0", "pytorchvideo==0.1.5", "numpy"]
ALONE = ["torchcodec==0.17.0", "decord==0.6.0", "onnxruntime==1.31.1", "opencv-python-headless==4.12.0.88"]
NEEDED = ["flatbuffers", "protobuf", "packaging"]

# Name: parameters of `backbone`, and torchvision's constructor.
NETWORKS = {
    "MobileNetV2-TSM": ("{ type: MobileNetV2TSM }", "mobilenet_v2"),
    "TSN-R50": ("{ type: ResNet, depth: 50 }", "resnet50"),
}

WEIGHTS = """
import sys, torch, torchvision
torch.manual_seed(0)
torch.save(getattr(torchvision.models, sys.argv[1])(num_classes=int(sys.argv[2])).state_dict(), sys.argv[3])
"""

COMMON = """
import sys, time, numpy
videos = open(sys.argv[1]).read().splitlines()
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

def chosen(num_frames):
    return [int((segment + 0.5) * num_frames / 8) for segment in range(8)]

def serve(predict):
    predict(videos[0])
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for video in videos:
            predict(video)
        print(time.perf_counter() - start, flush=True)
"""

TORCHCODEC = COMMON + """
import torch, torchvision
from torchcodec.decoders import VideoDecoder
from torchvision.transforms.v2 import functional
torch.set_num_threads(2)
model = getattr(torchvision.models, sys.argv[2])(num_classes=int(sys.argv[3]))
model.load_state_dict(torch.load(sys.argv[4], weights_only=True))
model = model.eval().to(memory_format=torch.channels_last)

class Shift(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        clips = x.view(-1, 8, *x.shape[1:])
        fold = x.shape[1] // 8
        out = torch.zeros_like(clips)
        out[:, :-1, :fold] = clips[:, 1:, :fold]
        out[:, 1:, fold:2 * fold] = clips[:, :-1, fold:2 * fold]
        out[:, :, 2 * fold:] = clips[:, :, 2 * fold:]
        return self.inner(out.view_as(x))

if sys.argv[2] == "mobilenet_v2":
    for block in model.features:
        if getattr(block, "use_res_connect", False):
            block.conv[0] = Shift(block.conv[0])
mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))

def predict(video):
    decoder = VideoDecoder(video, num_ffmpeg_threads=1)
    frames = decoder.get_frames_at(chosen(len(decoder))).data
    frames = functional.center_crop(functional.resize(frames, 256), [224, 224])
    clip = ((frames - mean) / std).contiguous(memory_format=torch.channels_last)
    return model(clip).mean(0).softmax(0).topk(5)

with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=sys.argv[5] == "bfloat16"):
    serve(predict)
"""

DECORD = COMMON + """
import cv2, decord, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
cv2.setNumThreads(1)
mean, std = (numpy.array(values, numpy.float32) for values in (MEAN, STD))

def predict(video):
    reader = decord.VideoReader(video, num_threads=1)
    frames = reader.get_batch(chosen(len(reader))).asnumpy()
    height, width = frames.shape[1:3]
    scale = 256 / min(height, width)
    size = round(width * scale), round(height * scale)
    top, left = (size[1] - 224) // 2, (size[0] - 224) // 2
    frames = numpy.stack([cv2.resize(frame, size)[top:top + 224, left:left + 224] for frame in frames])
    clip = ((frames.astype(numpy.float32) - mean) / std).transpose(3, 0, 1, 2)[None]
    logits = session.run(None, {"clip": numpy.ascontiguousarray(clip)})[0][0]
    odds = numpy.exp(logits - logits.max())
    return numpy.argsort(-odds / odds.sum())[:5]

serve(predict)
"""

PIPELINE = """pipeline: bench
stages:
  videos: {{ uses: ingest, with: {{ root: {clips} }} }}
  labels: {{ uses: annotations, inputs: {{ videos: videos }}, with: {{ format: class_folder, test_share: 0.5 }} }}
  frames: {{ uses: frames, inputs: {{ videos: videos }}, with: {{ resize: {{ short_side_px: 256 }}, encode: {{ jpeg: {{ quality: 90 }} }} }} }}
  samples:
    uses: augment
    inputs: {{ frames: frames, labels: labels }}
    with:
      epochs: 1
      train: {{ sampler: {sampler}, transforms: {transforms} }}
      test: {{ sampler: {sampler}, transforms: {transforms} }}
  model:
    uses: pretrained
    inputs: {{ samples: samples, classes: labels.classes }}
    with: {{ model: {{ backbone: {backbone} }}, load_from: {{ checkpoint: weights.pth }} }}
  onnx: {{ uses: export, inputs: {{ model: model, frames: frames, samples: samples }}, with: {{ parity_views: 4 }} }}
  int8: {{ uses: optimize, inputs: {{ model: model, frames: frames, samples: samples }}, with: {{ quantize: {{ type: int8 }} }} }}
"""
SAMPLER = "{ type: SampleFrames, clip_len: 1, frame_interval: 1, num_clips: 8 }"
TRANSFORMS = "[{ type: Resize, scale: { short_side_px: 256 } }, { type: CenterCrop, crop_size: 224 }]"


def exported(pipe, folder, clips, backbone, constructor, python):
    """Returns the exported network, the quantised one, the weights, and the number of classes."""
    classes = sum(path.is_dir() for path in clips.iterdir())
    weights = folder / "weights.pth"
    subprocess.run([python, "-c", WEIGHTS, constructor, str(classes), weights], check=True)
    values = {"clips": json.dumps(str(clips)), "backbone": backbone, "sampler": SAMPLER, "transforms": TRANSFORMS}
    (folder / "bench.yaml").write_text(PIPELINE.format(**values))
    subprocess.run([pipe, "run", "bench.yaml", "--no-lock"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    outputs = folder / ".pipe/out/bench"
    return outputs / "onnx/model.onnx", outputs / "int8/model.onnx", weights, classes


def run_pipe(pipe, model, more, videos, folder):
    """Returns the wall and CPU seconds of `pipe predict` with more arguments, and of its workers."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [pipe, "predict", model, *videos, *more, "--threads", "2", "--to", folder / "rows.jsonl"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name, options, python, packages, folder):
    backbone, constructor = NETWORKS[name]
    model, int8, weights, classes = exported(options.pipe, folder, options.clips, backbone, constructor, python)
    videos = sorted(str(path) for path in options.clips.rglob("*") if path.is_file())
    (folder / "videos.txt").write_text("\n".join(videos))
    os.environ["PYTHONPATH"] = str(packages)
    os.environ["LD_LIBRARY_PATH"] = lent_ffmpeg(python.parent.parent)
    torchcodec = [python, "-c", TORCHCODEC, folder / "videos.txt", constructor, classes, weights]
    programs = {
        "torchcodec + PyTorch": Program([*torchcodec, "float32"]),
        "torchcodec + PyTorch, bfloat16": Program([*torchcodec, "bfloat16"]),
        "decord + ONNX Runtime": Program([python, "-c", DECORD, folder / "videos.txt", model]),
    }
    del os.environ["PYTHONPATH"], os.environ["LD_LIBRARY_PATH"]
    variants = {
        "pipe": (model, []),
        "pipe, OpenVINO": (model, ["--engine", "openvino"]),
        "pipe, OpenVINO, bfloat16": (model, ["--engine", "openvino", "--precision", "bfloat16"]),
        "pipe, int8": (int8, []),
        "pipe, OpenVINO, int8": (int8, ["--engine", "openvino"]),
    }
    if "avx512_bf16" not in pathlib.Path("/proc/cpuinfo").read_text():
        print("this processor has no bfloat16: `pipe` is not measured with it")
        del variants["pipe, OpenVINO, bfloat16"]
    seconds = {who: [] for who in [*variants, *programs]}
    for _ in range(options.rounds):
        for who, variant in variants.items():
            seconds[who].append(run_pipe(options.pipe, *variant, videos, folder))
        for who, program in programs.items():
            seconds[who].append(program.turn())
    for program in programs.values():
        program.end()
    found = {who: [statistics.median(column) for column in zip(*rows)] for who, rows in seconds.items()}
    print(f"{name}, {len(videos)} videos, medians of {options.rounds} rounds")
    for who, (wall, cpu) in found.items():
        of_pipe = f"; pipe has {cpu / found['pipe'][1]:.2f} times as many per CPU second" if who in programs else ""
        print(f"  {who:30} {len(videos) / cpu:6.2f} videos per CPU second, {len(videos) / wall:6.2f} per second{of_pipe}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench predict")
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("--clips", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only")
    parser.add_argument("--folder", type=pathlib.Path, help="where to run, to keep the results")
    options = parser.parse_args()
    options.pipe, options.clips = options.pipe.resolve(), options.clips.resolve()
    python, packages = python_with("forward", FORWARD), cache_folder() / "predict"
    target = ["--upgrade", "--target", packages]
    done = cache_folder() / "predict.installed"
    if python is None or not installed(done, python, ["--no-deps", *target, *ALONE], [*target, *NEEDED]):
        sys.exit("the Python peers can't be installed, so there is nothing to compare with")
    for name in NETWORKS:
        if options.only in (None, name):
            folder = (options.folder or pathlib.Path(tempfile.mkdtemp())).resolve() / name
            folder.mkdir(parents=True, exist_ok=True)
            measure(name, options, python, packages, folder)
            if options.folder is None:
                shutil.rmtree(folder.parent)


main()
