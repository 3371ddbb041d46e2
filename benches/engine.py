"""What a rerun costs, against ninja, turborepo, Snakemake, DVC and b3sum: ratios in one run.

    cargo xtask bench engine [--full] [--without PEER...]

Each figure is the median of several rounds in which the programs take turns. CPU is the user and system time of the process and
of all processes that it waited for; wall time is printed too, because machines are shared and noisy. Peers that can't be
installed are skipped, and the report lists them. Without --full, peers that take minutes to prepare run with 100 stages only.
"""

import argparse, hashlib, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time
from turns import measure

PIPE = pathlib.Path(sys.argv[1])
ROUNDS = 7


def paired(programs, rounds=ROUNDS, before=None):
    """Runs programs in turns; returns the median wall and CPU seconds of each."""
    seconds = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (command, folder, env) in programs.items():
            if before:
                before(name)
            seconds[name].append(measure(command, folder, env))
    return {name: tuple(statistics.median(column) for column in zip(*rows)) for name, rows in seconds.items()}


def report(title, figures, base):
    """Prints a table; ratios are of `pipe` to `base`."""
    print(f"\n{title}")
    for name, (wall, cpu) in figures.items():
        print(f"  {name:12} wall {wall * 1000:9.1f} ms   CPU {cpu * 1000:9.1f} ms")
    for other in figures:
        if other != "pipe":
            wall, cpu = (figures["pipe"][at] / figures[other][at] for at in (0, 1))
            mark = "  <- target" if other == base else ""
            print(f"  pipe / {other:10} wall {wall:6.2f}   CPU {cpu:6.2f}{mark}")
    sys.stdout.flush()


# Peers --------------------------------------------------------------------------------------------------------------


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "pipe" / "bench"


def peers():
    """Installs the peers into a private folder; returns the programs that could be installed."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    venv = folder / "venv"
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    found = {}
    # dvc does not pin pathspec, and breaks with newer versions.
    for name, package in {"ninja": "ninja==1.13.0", "snakemake": "snakemake==9.13.4", "dvc": "dvc==3.63.0 pathspec==0.12.1"}.items():
        program = venv / "bin" / name
        if not program.exists():
            for wanted in (package.split(), [name]):
                install = [venv / "bin" / "pip", "install", "--quiet", *wanted]
                if subprocess.run(install, stderr=subprocess.DEVNULL).returncode == 0:
                    break
        if program.exists():
            found[name] = program
    turbo = folder / "node" / "node_modules" / ".bin" / "turbo"
    if not turbo.exists() and shutil.which("npm"):
        (folder / "node").mkdir(exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", folder / "node", "turbo@2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if turbo.exists():
        found["turbo"] = turbo
    b3sum = folder / "bin" / "b3sum"
    if not b3sum.exists():
        install = ["cargo", "install", "--quiet", "--locked", "--root", folder, "b3sum@1.8.2"]
        subprocess.run(install, env={**os.environ, "CARGO_TARGET_DIR": str(folder / "target")})
    if b3sum.exists():
        found["b3sum"] = b3sum
    for name in ("ninja", "snakemake", "dvc", "turbo", "b3sum"):
        if name not in found:
            print(f"{name} can't be installed here: skipped")
    return found


# Pipelines ----------------------------------------------------------------------------------------------------------


CHAIN_LENGTH = 100
LABELS = {"chain": "chain of {}", "chains": "{} stages in chains of 100", "fan": "fan of {}"}


def inputs_of(shape, stage):
    """Returns the stage that `stage` reads; `chains` are chains of 100."""
    if stage == 0 or (shape == "chains" and stage % CHAIN_LENGTH == 0):
        return None
    return 0 if shape == "fan" else stage - 1


def write_pipe(folder, shape, count):
    lines = ["pipeline: bench", "stages:"]
    for stage in range(count):
        before = inputs_of(shape, stage)
        inputs = "" if before is None else f"inputs: {{ before: s{before} }}, "
        lines.append(f"  s{stage}: {{ uses: command, {inputs}with: {{ shell: 'echo {stage} > \"${{outputs.r}}\"', outputs: {{ r: r }} }} }}")
    (folder / "bench.yaml").write_text("\n".join(lines) + "\n")


def write_ninja(folder, shape, count):
    lines = []
    for stage in range(count):
        before = inputs_of(shape, stage)
        lines += [f"rule r{stage}", f"  command = echo {stage} > out{stage}", f"build out{stage}: r{stage}" + ("" if before is None else f" out{before}")]
    (folder / "build.ninja").write_text("\n".join(lines) + "\n")


def write_snakemake(folder, shape, count):
    lines = ["rule all:", "    input: " + ", ".join(f"'out{stage}'" for stage in range(count))]
    for stage in range(count):
        before = inputs_of(shape, stage)
        lines.append(f"rule r{stage}:")
        if before is not None:
            lines.append(f"    input: 'out{before}'")
        lines += [f"    output: 'out{stage}'", f"    shell: 'echo {stage} > {{output}}'"]
    (folder / "Snakefile").write_text("\n".join(lines) + "\n")


def write_dvc(folder, shape, count):
    lines = ["stages:"]
    for stage in range(count):
        before = inputs_of(shape, stage)
        lines += [f"  s{stage}:", f"    cmd: echo {stage} > out{stage}"]
        if before is not None:
            lines += [f"    deps: [out{before}]"]
        lines += [f"    outs: [out{stage}]"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")


def as_if_dvc_had_run(folder, shape, count):
    """Writes what a run would leave. A real run of 1,000 stages writes the lock file 1,000 times, which takes most of an hour."""
    lock = ["schema: '2.0'", "stages:"]

    def file(stage, what):
        content = f"{stage}\n".encode()
        digest = hashlib.md5(content).hexdigest()
        lock.extend([f"    {what}:", f"    - path: out{stage}", "      hash: md5", f"      md5: {digest}", f"      size: {len(content)}"])
        (folder / f"out{stage}").write_bytes(content)
        cached = folder / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_bytes(content)

    for stage in range(count):
        lock += [f"  s{stage}:", f"    cmd: echo {stage} > out{stage}"]
        before = inputs_of(shape, stage)
        if before is not None:
            file(before, "deps")
        file(stage, "outs")
    (folder / "dvc.lock").write_text("\n".join(lock) + "\n")


def write_turbo(folder, shape, count):
    tasks, scripts = {}, {}
    for stage in range(count):
        before = inputs_of(shape, stage)
        tasks[f"s{stage}"] = {"dependsOn": [] if before is None else [f"s{before}"], "inputs": ["package.json"], "outputs": [f"out{stage}"]}
        scripts[f"s{stage}"] = f"echo {stage} > out{stage}"
    (folder / "turbo.json").write_text(json.dumps({"tasks": tasks}))
    package = {"name": "bench", "private": True, "packageManager": "npm@10.0.0", "scripts": scripts}
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "package-lock.json").write_text(json.dumps({"name": "bench", "lockfileVersion": 3, "packages": {}}))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    (folder / ".gitignore").write_text("out*\n.turbo\n")


def command_of(name, program, count):
    if name == "pipe":
        return [PIPE, "run", "bench.yaml"]
    if name == "ninja":
        return [program]
    if name == "snakemake":
        return [program, "--cores", "2", "--quiet", "all"]
    if name == "dvc":
        return [program, "repro", "-q"]
    return [program, "run", *[f"s{stage}" for stage in range(count)], "--output-logs=none"]


def prepared(name, program, folder, shape, count, env):
    folder = folder / f"{name}-{shape}-{count}"
    folder.mkdir()
    {"pipe": write_pipe, "ninja": write_ninja, "snakemake": write_snakemake, "dvc": write_dvc, "turbo": write_turbo}[name](folder, shape, count)
    if name == "pipe":
        (folder / ".pipe").mkdir()
    if name == "dvc":
        subprocess.run([program, "init", "--no-scm", "-q"], cwd=folder, env=env, check=True)
        if count == 1000:
            as_if_dvc_had_run(folder, shape, count)
    return folder


def stages(scratch, found, env, full):
    """Nothing to do, for chains and fans; everything to do, for 100 stages."""
    for count in (10, 100, 1000):
        for shape in ("chain", "chains", "fan"):
            if shape == "chains" and count != 1000:
                continue
            programs = {}
            for name in ("pipe", "ninja", "turbo", "snakemake", "dvc"):
                slow = name in ("snakemake", "dvc", "turbo")
                if (name != "pipe" and name not in found) or (slow and (shape != "chain" or count == 10 or (count == 1000 and not full))):
                    continue
                command = command_of(name, found.get(name), count)
                try:
                    folder = prepared(name, found.get(name), scratch, shape, count, env)
                    cold = measure(command, folder, env)
                except (RuntimeError, subprocess.CalledProcessError) as error:
                    if name == "pipe":
                        raise
                    print(f"  {name} fails here and is skipped: {str(error)[-300:]}")
                    found.pop(name)
                    continue
                if count == 100:
                    print(f"  first run of {count}, {shape}: {name:10} wall {cold[0]:7.2f} s   CPU {cold[1]:7.2f} s")
                programs[name] = (command, folder, env)
            report(f"nothing to do, {LABELS[shape].format(count)}", paired(programs, ROUNDS if count < 1000 else 5), "ninja")
    cold_programs = {name: prepared(name, found.get(name), scratch, "fan", 101, env) for name in ("pipe", "ninja") if name == "pipe" or name in found}

    def clean(name):
        folder = cold_programs[name]
        for path in folder.iterdir():
            if path.name in (".pipe", ".ninja_log", ".ninja_deps") or path.name.startswith("out"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if name == "pipe":
            (folder / ".pipe").mkdir()

    programs = {name: (command_of(name, found.get(name), 101), folder, env) for name, folder in cold_programs.items()}
    report("everything to do, fan of 101 trivial stages", paired(programs, before=clean), "ninja")


def sources(scratch, env):
    """Nothing to do, for a folder of 10,000 source files."""
    folder = scratch / "sources"
    (folder / ".pipe").mkdir(parents=True)
    for number in range(10_000):
        path = folder / "data" / f"{number % 100:02}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8, "little"))
    (folder / "bench.yaml").write_text(
        "pipeline: bench\nstages:\n  s: { uses: command, sources: ['data/**/*.bin'], with: { shell: 'echo 1 > \"${outputs.r}\"', outputs: { r: r } } }\n"
    )
    time.sleep(0.2)
    run = [PIPE, "run", "bench.yaml"]
    measure(run, folder, env)
    find = ["find", "data", "-type", "f", "-printf", "%s %T@\\n"]
    measure(run, folder, env)
    report("nothing to do, 10,000 source files", paired({"pipe": (run, folder, env), "find": (find, folder, env)}), "find")
    times = []
    for number in range(ROUNDS):
        (folder / "data" / "00" / "0.bin").write_bytes(b"changed" + number.to_bytes(8, "little"))
        time.sleep(0.1)
        times.append(measure(run, folder, env))
    wall, cpu = (statistics.median(column) for column in zip(*times))
    print(f"  one of them changed (the stage itself is one `echo`): wall {wall * 1000:.1f} ms   CPU {cpu * 1000:.1f} ms")


def hashing(scratch, found, env):
    """The first hash of a large file, and of many small files."""
    if "b3sum" not in found:
        return
    folder = scratch / "hash"
    folder.mkdir()
    with open(folder / "large.bin", "wb") as file:
        block = os.urandom(1 << 20)
        for number in range(2048):
            file.write(number.to_bytes(8, "little") + block[8:])
    (folder / "small").mkdir()
    for number in range(10_000):
        (folder / "small" / f"{number}.bin").write_bytes(number.to_bytes(8, "little") + block[: 10 * 1024 - 8])
    for name, glob in (("2 GiB file", "large.bin"), ("10,000 files of 10 KiB", "small/*.bin")):
        text = f"pipeline: bench\nstages:\n  s: {{ uses: command, sources: ['{glob}'], with: {{ shell: 'echo 1 > \"${{outputs.r}}\"', outputs: {{ r: r }} }} }}\n"
        (folder / "bench.yaml").write_text(text)
        files = sorted(str(path.relative_to(folder)) for path in folder.glob(glob))
        programs = {"pipe": ([PIPE, "plan", "bench.yaml"], folder, env), "b3sum": ([found["b3sum"], *files], folder, env)}

        def forget(_):
            shutil.rmtree(folder / ".pipe", ignore_errors=True)
            (folder / ".pipe").mkdir()

        figures = paired(programs, before=forget)
        report(f"first hash, {name} (`pipe plan` from its start to its end)", figures, "b3sum")
        print(f"  rate, pipe of b3sum: wall {figures['b3sum'][0] / figures['pipe'][0]:.2f}")


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench engine")
    parser.add_argument("pipe")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", choices=["stages", "sources", "hashing"])
    parser.add_argument("--without", nargs="*", default=[], help="peers to skip")
    args = parser.parse_args()
    found = {name: program for name, program in peers().items() if name not in args.without}
    env = {**os.environ, "NO_COLOR": "1", "TURBO_TELEMETRY_DISABLED": "1", "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        print(f"{os.cpu_count()} processors, {ROUNDS} rounds in turns, medians")
        if args.only in (None, "sources"):
            sources(scratch, env)
        if args.only in (None, "hashing"):
            hashing(scratch, found, env)
        if args.only in (None, "stages"):
            stages(scratch, found, env, args.full)


main()
