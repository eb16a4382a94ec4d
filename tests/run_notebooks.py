"""Run the notebooks through papermill, two at a time, each in a kernel and a folder of its own.

A kernel is a fork of a process that has imported the libraries and nothing of the package: a new interpreter would
take some six seconds for them, forty-seven times.

python tests/run_notebooks.py library            every notebook but the jobs
python tests/run_notebooks.py jobs               the jobs, tiny
python tests/run_notebooks.py library jobs       all
python tests/run_notebooks.py library 01 20      only those whose name begins so
"""

import atexit
import contextlib
import io
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 600  # no notebook may take longer
WORKERS = 2

# What makes each job small. `run_dir` is added; everything else keeps its default.
JOBS = {
    "40_enwik8": {"corpus": "embedded", "max_seconds": 4, "compress": 2048},
    "41_ptb": {"corpus": "embedded", "max_seconds": 4},
    "42_wikitext103": {"corpus": "embedded", "max_seconds": 4},
    "43_sentences": {"corpus": "embedded", "compare": "cnn", "window": 3, "max_seconds": 4},
    "45_recognition": {"corpus": "digits", "max_seconds": 5, "epochs": 8},
    "48_distillation": {},
    "49_forecast": {"corpus": "temperatures", "steps": 40, "eval_every": 20, "eval_windows": 200},
    "47_detection": {"max_seconds": 5, "epochs": 2},
    "46_segmentation": {"max_seconds": 5, "epochs": 2},
    "44_squad": {"corpus": "embedded", "hidden_size": 32, "num_layers": 2, "max_seconds": 4},
}


KINDS = "library", "jobs"


def is_job(path):
    return path.stem[:1] == "4"


LIBRARIES = ["torch", "torch._dynamo", "numba", "matplotlib.pyplot", "ipykernel.kernelapp", "preload"]


def be_kernel(arguments, environment):
    """What a forked process does: the work of `python -m ipykernel_launcher`, in a session of its own."""
    from ipykernel.kernelapp import launch_new_instance

    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["ipykernel_launcher", *arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]
    launch_new_instance()
    atexit._run_exitfuncs()  # a forked process leaves them out


class Kernel:
    """A kernel with the methods of `subprocess.Popen` that jupyter_client and `sru_nb.run` call."""

    stdin = stdout = stderr = None

    def __init__(self, command, env, **_):
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(LIBRARIES)
        self.process = forks.Process(target=be_kernel, args=(command[command.index("-f"):], dict(env)))
        self.process.start()
        self.pid = self.process.pid
        # jupyter_client asks for the kernel's group next and signals it: before setsid that is the group of all of us
        while self.process.is_alive() and os.getpgid(self.pid) != self.pid:
            time.sleep(0.001)

    @property
    def returncode(self):
        return self.process.exitcode

    def poll(self):
        return self.process.exitcode

    def wait(self, timeout=None):
        self.process.join(timeout)
        return self.process.exitcode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)


def run(path, folder):
    """Run one notebook, as `sru_nb.run` runs a job; return (seconds, what went wrong or None)."""
    from jupyter_client.provisioning import local_provisioner

    from sru_nb.run import DONE, Execution, judge

    if hasattr(os, "fork"):
        local_provisioner.launch_kernel = Kernel
    folder.mkdir()
    parameters = {}
    if is_job(path):
        if path.stem not in JOBS:
            return 0.0, "JOBS in tests/run_notebooks.py does not say what makes it small"
        parameters = {**JOBS[path.stem], "run_dir": str(folder / "run")}
    os.chdir(folder)  # the kernel starts where this process is, in its environment
    os.environ |= {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // WORKERS)),
                   "SRU_NB_TESTS": "on" if path.stem == "00_testing" else "off"}  # the exported tests are pytest's
    execution = Execution(path, folder / "out.ipynb", parameters, log=False)
    start, limit = time.perf_counter(), threading.Timer(SECONDS, execution.kill)
    limit.start()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        execution.run()
    limit.cancel()
    seconds = time.perf_counter() - start
    code, happened, trace = judge(execution)
    if seconds >= SECONDS:
        return seconds, f"still running after {SECONDS} s"
    if code != DONE:
        return seconds, f"{trace}\n{happened}"[-5000:]
    if is_job(path):
        try:
            json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            return seconds, f"no usable results.json: {problem}"
    return seconds, None


def main(kinds, begins):
    paths = [path for path in sorted((ROOT / "nbs").glob("[!._]*.ipynb")) if KINDS[is_job(path)] in kinds]
    paths = [path for path in paths if not begins or path.name.startswith(tuple(begins))]
    errors = {}
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(WORKERS) as pool:
        results = pool.map(run, paths, [Path(folder) / path.stem for path in paths])
        for path, (seconds, error) in zip(paths, results):
            print(f"{'ok    ' if error is None else 'FAILED'} {seconds:6.1f} s  {path.name}", flush=True)
            if error is not None:
                errors[path.name] = error
    for name, error in errors.items():
        print(f"\n==== {name}\n{error}")
    print(f"{len(paths) - len(errors)} passed, {len(errors)} failed")
    return int(bool(errors) or not paths)


if __name__ == "__main__":
    words = sys.argv[1:]
    if not set(words) & set(KINDS):
        sys.exit(__doc__)
    sys.exit(main([word for word in words if word in KINDS], [word for word in words if word not in KINDS]))
