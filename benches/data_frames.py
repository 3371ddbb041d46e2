"""What it costs to make frames of videos, against OpenCV, PyAV and torchcodec: ratios in one run.

    cargo xtask bench data_frames CLIPS [--rounds N] [--without PEER…]

Every frame of the clips is decoded, resized to 341 x 256 (UCF101's short side as 256), coded as JPEG at 90 and written
into one Parquet file. Each figure is frames per processor second, user plus system time, of the process and all that it
started; the median of several rounds in which the programs take turns. Each works on one thread. Of a peer, importing its
libraries is not counted; of `pipe`, all is. Peers that can't be installed are left out, and the report says so.
"""

import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile

PACKAGES = {
    "opencv": ["opencv-python-headless", "pyarrow"],
    "pyav": ["av", "simplejpeg", "pyarrow"],
    "torchcodec": ["torch", "torchvision", "torchcodec", "pyarrow"],
}

# A peer reads a JSON list of files from stdin, and prints frames and processor seconds.
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
    for frame in VideoDecoder(file, num_ffmpeg_threads=1, seek_mode="approximate"):
        resized = torchvision.transforms.v2.functional.resize(frame, [256, 341], antialias=False)
        images.append(torchvision.io.encode_jpeg(resized, quality=90).numpy().tobytes())
        times.append(0)
    return images, times
import torchvision.transforms.v2.functional
run(frames_of)
""",
}


def build(target):
    """Builds the program that makes frames as the stage does."""
    command = ["cargo", "build", "--release", "--quiet", "--package", "pipe-stage-frames", "--example", "frames_of"]
    folder = pathlib.Path(__file__).resolve().parent.parent
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return target / "release" / "examples" / "frames_of"


def environment(name, packages):
    """Returns the Python of a private environment with the packages, or None."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = pathlib.Path(base) / "pipe" / "bench" / f"frames-{name}"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    done = folder / "installed"
    if not done.exists():
        install = [python, "-m", "pip", "install", "--quiet", *packages]
        if subprocess.run(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            return None
        done.touch()
    return python


def measured(command, given=""):
    """Returns frames and frames per processor second of a command that prints frames and seconds."""
    ran = subprocess.run([str(word) for word in command], input=given, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else f"exit code {ran.returncode}")
    frames, seconds = ran.stdout.split()
    return int(frames), int(frames) / float(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("clips", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without", nargs="*", default=[], choices=list(PEERS))
    arguments = parser.parse_args()
    files = sorted(str(path.resolve()) for path in arguments.clips.rglob("*.avi"))
    if not files:
        sys.exit(f"no .avi file lies below {arguments.clips}")
    program = build(arguments.pipe.resolve().parent.parent)
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        runs["pipe"] = lambda at: measured([program, f"{folder}/pipe{at}", *files])
        for name in PEERS:
            if name in arguments.without:
                continue
            python = environment(name, PACKAGES[name])
            if python is None:
                print(f"{name} can't be installed here: left out")
                continue
            given = json.dumps([files, f"{folder}/{name}.parquet"])
            runs[name] = lambda at, python=python, name=name, given=given: measured([python, "-c", COMMON + PEERS[name]], given)
        runs["(decode)"] = lambda at: measured([program, "--decode", *files])
        runs["(code)"] = lambda at: measured([program, "--code", *files])
        rates = {name: [] for name in runs}
        counts = {}
        for at in range(arguments.rounds):
            for name in list(runs):
                try:
                    counts[name], rate = runs[name](at)
                    rates[name].append(rate)
                except RuntimeError as error:
                    print(f"{name} does not run here: left out ({error})")
                    del runs[name]
    report({name: statistics.median(rates[name]) for name in runs}, counts, len(files))


def report(rates, counts, num_files):
    print(f"{num_files} clips; frames per processor second")
    for name, rate in rates.items():
        print(f"  {name:12} {rate:9.0f}   {counts[name]} frames")
    floor = 1 / (1 / rates["(decode)"] + 1 / rates["(code)"])
    print(f"  decode and code, the floor: {floor:.0f}; pipe / floor {rates['pipe'] / floor:.2f}")
    for name in PEERS:
        if name in rates:
            print(f"  pipe / {name:11} {rates['pipe'] / rates[name]:5.2f}")


if __name__ == "__main__":
    main()
