"""Shared by the benchmarks: private environments for peers, and programs that take turns."""

import os, pathlib, statistics, subprocess, sys

# The peers of the video benchmarks, in one environment.
VIDEO_PACKAGES = ["numpy", "opencv-python-headless", "pyarrow", "datasets", "torch", "torchvision", "torchcodec", "av", "simplejpeg"]


# MMAction2 requires a compiled mmcv and a second OpenCV. Neither is needed to load videos, so these packages are installed without
# their dependencies,
MMACTION2 = ["mmaction2==1.2.0", "mmengine==0.10.7", "mmcv-lite==2.1.0", "decord==0.6.0"]
# and the packages that they import are installed with theirs.
MMACTION2_NEEDS = ["addict", "yapf", "termcolor", "rich", "matplotlib", "einops", "scipy", "importlib_metadata"]


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "pipe" / "bench"


def python_with(name, packages):
    """Returns the Python of a private environment that has the packages, or None if they can't be installed."""
    folder = cache_folder() / name
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return python if installed(folder / "installed", python, packages) else None


def installed(done, python, *lists):
    """Installs lists of packages, unless the file `done` records them; returns whether all are installed."""
    wanted = "\n".join(str(word) for words in lists for word in words)
    if done.exists() and done.read_text() == wanted:
        return True
    for words in lists:
        command = [python, "-m", "pip", "install", "--quiet", *words]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            return False
    done.write_text(wanted)
    return True


def mmaction2(python):
    """Returns the folder of MMAction2's packages for the Python of the video peers, or None if they can't be installed."""
    folder = cache_folder() / "mmaction2"
    alone = ["--no-deps", "--upgrade", "--target", folder, *MMACTION2]
    if installed(cache_folder() / "mmaction2.installed", python, MMACTION2_NEEDS, alone):
        return folder
    print("left out: MMAction2, which can't be installed")
    return None


def video_peers():
    """Returns the Python of the video peers and its environment variables, or None."""
    python = python_with("video", VIDEO_PACKAGES)
    return python and (python, {**os.environ, "LD_LIBRARY_PATH": lent_ffmpeg(python.parent.parent)})


def lent_ffmpeg(folder):
    """Returns the library path of PyAV's FFmpeg for torchcodec, which has none; adds links with the usual names."""
    names = []
    for libraries in folder.glob("lib/python*/site-packages/av.libs"):
        names.append(str(libraries))
        for path in libraries.glob("lib*-*.so.*"):
            name, version = path.name.split("-")[0], path.name.split(".so.")[1].split(".")[0]
            link = libraries / f"{name}.so.{version}"
            if not link.exists():
                link.symlink_to(path.name)
    return os.pathsep.join(names)


def output(command, given="", env=None):
    """Returns the output of a command; raises RuntimeError if it fails."""
    ran = subprocess.run([str(word) for word in command], input=given, capture_output=True, text=True, env=env)
    if ran.returncode != 0:
        raise RuntimeError((ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1])
    return ran.stdout


def in_turns(runs, rounds, peers):
    """Runs functions in turns and returns the medians of their numbers. A peer that fails is left out with a message."""
    rates = {name: [] for name in runs}
    for _ in range(rounds):
        for name in list(rates):
            try:
                rates[name].append(runs[name]())
            except RuntimeError as error:
                if name not in peers:
                    raise
                print(f"left out: {name}, which fails ({error})")
                del rates[name]
    return {name: statistics.median(found) for name, found in rates.items()}
