"""Programs that take turns: commands that are measured as a whole, and programs that do something for each line on stdin."""

import os, pathlib, statistics, subprocess, time


def measure(command, folder, env=None):
    """Returns the wall and CPU seconds of a command that must succeed, with the child processes that it waited for."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said.decode(errors='replace')[-2000:]}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


class Program:
    """A program that does something once for each line, and prints the seconds that it took."""

    def __init__(self, command):
        env = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        self.line()

    def line(self):
        found = self.process.stdout.readline()
        if not found:
            raise RuntimeError((self.process.stderr.read().strip().splitlines() or ["it ended"])[-1])
        return found

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def turn(self):
        """Returns the wall and CPU seconds of one turn."""
        before = self.cpu()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.line()), self.cpu() - before

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def medians(programs, rounds):
    """Lets programs take turns; returns the medians of the wall and CPU seconds of each."""
    seconds = {who: [] for who in programs}
    for _ in range(rounds):
        for who, program in programs.items():
            seconds[who].append(program.turn())
    return {who: [statistics.median(column) for column in zip(*rows)] for who, rows in seconds.items()}
