"""Measures the cost of storing the frames of videos, against OpenCV, PyAV and torchcodec, as ratios of one run.

    cargo xtask bench data_frames CLIPS [--rounds N] [--files]
    cargo xtask bench data_frames CLIPS --memory

Every frame of the clips is decoded, resized to 341 x 256 (UCF101 with a short side of 256), encoded as JPEG of quality 90 and
written to one Parquet file. Each figure is frames per CPU second, user plus system time, of the process and its children: the
median of several rounds in which the programs take turns. Each program uses one thread. The time that a peer needs to import its
libraries is not counted; for `pipe`, everything is counted. Peers that can't be installed are left out, and the report names them.

The floor is the cost of decoding and encoding alone: decoded frames are discarded, and existing planes are encoded. "One file per
frame" is the layout of MMAction2's rawframes: the same work, but each frame is written to its own file.

With --memory: the peak memory for a video of 10 seconds and for one of an hour, which repeats the same clip.
"""

import argparse, json, os, pathlib, subprocess, sys, tempfile
from peers import in_turns, output, video_peers

# A peer reads a JSON list of files from stdin, and prints the number of frames and the CPU seconds.
COMMON = """
import json, sys, time
files, out = json.load(sys.stdin)
import pyarrow as pa, pyarrow.parquet as pq
SCHEMA = pa.schema([("video_id", pa.string()), ("frame_index", pa.int32()), ("pts_nanos", pa.int64()), ("height", pa.int32()),
    ("width", pa.int32()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
def run(frames_of):
    count, start = 0, time.process_time()
    with pq.ParquetWriter(out, SCHEMA, compression="none", use_dictionary=False) as writer:
        for file in files:
            images, times = frames_of(file)
            n = len(images)
            writer.write_table(pa.table([[file] * n, list(range(n)), times, [256] * n, [341] * n,
                [{"bytes": image, "path": None} for image in images]], schema=SCHEMA))
            count += n
    print(count, time.process_time() - start)
"""

PEERS = {
    "opencv": """
import cv2
cv2.setNumThreads(1)
def frames_of(file):
    video = cv2.VideoCapture(file, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    images, times = [], []
    while True:
        there, frame = video.read()
        if not there:
            return images, times
        times.append(int(video.get(cv2.CAP_PROP_POS_MSEC) * 1e6))
        frame = cv2.resize(frame, (341, 256), interpolation=cv2.INTER_LINEAR)
        images.append(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
run(frames_of)
""",
    "pyav": """
import av, simplejpeg
def frames_of(file):
    images, times = [], []
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "NONE", 1
        for frame in container.decode(stream):
            times.append(int(frame.time * 1e9))
            pixels = frame.to_ndarray(width=341, height=256, format="bgr24", interpolation="BILINEAR")
            images.append(simplejpeg.encode_jpeg(pixels, quality=90, colorspace="BGR", colorsubsampling="420"))
    return images, times
run(frames_of)
""",
    "torchcodec": """
import torch, torchvision
from torchcodec.decoders import VideoDecoder
torch.set_num_threads(1)
def frames_of(file):
    images, times = [], []
    decoder = VideoDecoder(file, num_ffmpeg_threads=1)
    for index in range(decoder.metadata.num_frames):
        try:
            frame = decoder.get_frame_at(index)
        except RuntimeError:  # a container may declare a frame too many
            break
        resized = torchvision.transforms.v2.functional.resize(frame.data, [256, 341], antialias=False)
        images.append(torchvision.io.encode_jpeg(resized, quality=90).numpy().tobytes())
        times.append(int(frame.pts_seconds * 1e9))
    return images, times
import torchvision.transforms.v2.functional
run(frames_of)
""",
}


def build(target):
    """Builds the program that stores frames as the stage does."""
    command = ["cargo", "build", "--release", "--quiet", "--package", "pipe-stage-frames", "--example", "frames_of"]
    folder = pathlib.Path(__file__).resolve().parent.parent
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return target / "release" / "examples" / "frames_of"


class Rate:
    """Frames per CPU second. All programs must make the same number of frames; one frame per clip may differ."""

    def __init__(self, num_files):
        self.num_files, self.frames = num_files, None

    def __call__(self, printed):
        frames, seconds = printed.split()[:2]
        self.frames = self.frames or int(frames)
        if abs(int(frames) - self.frames) > self.num_files:
            raise RuntimeError(f"{frames} frames instead of {self.frames}")
        return int(frames) / float(seconds)


# Reads a JSON list of a clip, seconds and a new file from stdin. Packets are copied without encoding them again.
REPEAT = """
import av, json, sys
clip, seconds, out = json.load(sys.stdin)
with av.open(out, "w") as target:
    stream, at, end = None, 0, 0
    while stream is None or at < seconds * stream.average_rate:
        with av.open(clip) as source:
            given = source.streams.video[0]
            if stream is None:
                stream = target.add_stream_from_template(given)
                stream.time_base = given.time_base
            for packet in source.demux(given):
                if packet.size:
                    packet.pts = packet.dts = at
                    packet.stream = stream
                    target.mux(packet)
                    at += 1
"""


def memory(program, clip, python, env):
    with tempfile.TemporaryDirectory() as folder:
        for title, seconds in (("10 s", 10), ("1 h", 3600)):
            video = f"{folder}/{seconds}.avi"
            output([python, "-c", REPEAT], json.dumps([clip, seconds, video]), env)
            frames, cpu_secs, peak_mib = output([program, f"{folder}/{seconds}", video]).split()
            print(f"{title:5} {int(frames):8} frames {float(cpu_secs):8.1f} s of CPU   peak memory {peak_mib} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("clips", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", action="store_true", help="also measure one file per frame")
    parser.add_argument("--memory", action="store_true", help="only measure the memory for long videos")
    arguments = parser.parse_args()
    files = sorted(str(path.resolve()) for path in arguments.clips.rglob("*.avi"))
    if not files:
        sys.exit(f"there is no .avi file in {arguments.clips}")
    program = build(arguments.pipe.resolve().parent.parent)
    found = video_peers()
    if found is None:
        print("left out: peers that can't be installed")
    python, env = found or (None, None)
    if arguments.memory:
        if found is None:
            sys.exit("--memory needs PyAV, which can't be installed")
        return memory(program, files[0], python, env)
    with tempfile.TemporaryDirectory() as folder:
        # A new folder each time, because existing files would not be made again.
        fresh = lambda: tempfile.mkdtemp(dir=folder)
        rate = Rate(len(files))
        runs = {"pipe": lambda: rate(output([program, fresh(), *files]))}
        for name in PEERS if found else []:
            given = json.dumps([files, f"{folder}/{name}.parquet"])
            source = COMMON + PEERS[name]
            runs[name] = lambda source=source, given=given: rate(output([python, "-c", source], given, env))
        runs["(decode)"] = lambda: rate(output([program, "--decode", *files]))
        runs["(code)"] = lambda: rate(output([program, "--code", *files]))
        if arguments.files:
            runs["(one file per frame)"] = lambda: rate(output([program, "--files", fresh(), *files]))
        report(in_turns(runs, arguments.rounds, PEERS), len(files))


def report(rates, num_files):
    print(f"{num_files} clips; frames per CPU second")
    for name, rate in rates.items():
        print(f"  {name:20} {rate:9.0f}")
    floor = 1 / (1 / rates["(decode)"] + 1 / rates["(code)"])
    print(f"  floor (decode and encode): {floor:.0f}; pipe / floor {rates['pipe'] / floor:.2f}")
    for name in PEERS:
        if name in rates:
            print(f"  pipe / {name:11} {rates['pipe'] / rates[name]:5.2f}")


if __name__ == "__main__":
    main()
