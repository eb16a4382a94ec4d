"""Run the notebooks through papermill, two at a time, each in a process and a folder of its own.

python tests/run_notebooks.py library            every notebook but the jobs
python tests/run_notebooks.py jobs               the jobs, tiny
python tests/run_notebooks.py library 01 20      only those whose name begins so
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 600  # no notebook may take longer
WORKERS = 2

# What makes each job small. `run_dir` is added; everything else keeps its default.
JOBS = {
    "40_enwik8": {"corpus": "embedded", "max_seconds": 10, "compress": 4096},
    "41_ptb": {"corpus": "embedded", "max_seconds": 10},
    "42_wikitext103": {"corpus": "embedded", "max_seconds": 10},
    "43_sentences": {"corpus": "embedded", "compare": "cnn", "window": 3, "max_seconds": 4},
    "44_squad": {"corpus": "embedded", "hidden_size": 32, "num_layers": 2, "max_seconds": 10},
}


def is_job(path):
    return path.stem[:1] == "4"


def execute(path, folder, parameters):
    """Run one notebook in this process, as `sru_nb.run` runs a job."""
    from sru_nb.run import Execution

    execution = Execution(Path(path), Path(folder) / "out.ipynb", json.loads(parameters), log=False)
    execution.run()  # here: `start` would run it in a thread
    if execution.error is not None:
        raise execution.error


def run(path, folder):
    """Run one notebook; return (seconds, what went wrong or None)."""
    folder.mkdir()
    parameters = {}
    if is_job(path):
        if path.stem not in JOBS:
            return 0.0, "JOBS in tests/run_notebooks.py does not say what makes it small"
        parameters = {**JOBS[path.stem], "run_dir": str(folder / "run")}
    command = [sys.executable, __file__, "execute", path, folder, json.dumps(parameters)]
    env = {**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // WORKERS)),
           "SRU_NB_TESTS": "on" if path.stem == "00_testing" else "off"}  # the exported tests are pytest's
    start = time.perf_counter()
    try:
        done = subprocess.run([str(part) for part in command], env=env, cwd=folder, capture_output=True, text=True,
                              timeout=SECONDS)
        # papermill's own traceback ends where the notebook's begins
        error = done.stderr.rpartition("papermill.exceptions.")[2][-5000:] if done.returncode else None
    except subprocess.TimeoutExpired:
        error = f"still running after {SECONDS} s"
    if error is None and is_job(path):
        try:
            json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            error = f"no usable results.json: {problem}"
    return time.perf_counter() - start, error


def main(kind, *begins):
    paths = [path for path in sorted((ROOT / "nbs").glob("[!._]*.ipynb")) if is_job(path) == (kind == "jobs")]
    paths = [path for path in paths if not begins or path.name.startswith(begins)]
    errors = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        results = pool.map(lambda path: run(path, Path(folder) / path.stem), paths)
        for path, (seconds, error) in zip(paths, results):
            print(f"{'ok    ' if error is None else 'FAILED'} {seconds:6.1f} s  {path.name}", flush=True)
            if error is not None:
                errors[path.name] = error
    for name, error in errors.items():
        print(f"\n==== {name}\n{error}")
    print(f"{len(paths) - len(errors)} passed, {len(errors)} failed")
    return int(bool(errors) or not paths)


if __name__ == "__main__":
    if sys.argv[1:2] == ["execute"]:
        sys.exit(execute(*sys.argv[2:]))
    if sys.argv[1:2] not in (["library"], ["jobs"]):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
