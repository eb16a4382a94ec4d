"""Train the language models that README compares: `python results/language.py [SECONDS]` writes results/language.json.

The job 40_enwik8 on the embedded corpus, preset tiny, one run for each unit, SECONDS each (default 90), on a machine
that does nothing else.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from sru_nb.checkpoint import write_json
from sru_nb.speed import describe

HERE = Path(__file__).resolve().parent


def language(seconds: float) -> tuple[list[dict], str]:
    "The job's results for each unit, and the corpus."
    rows = []
    for unit in ("sru", "lstm"):
        with tempfile.TemporaryDirectory() as folder:
            job = [sys.executable, "-m", "papermill", "--no-progress-bar", str(HERE.parent / "nbs" / "40_enwik8.ipynb"),
                   f"{folder}/out.ipynb", "-p", "corpus", "embedded", "-p", "preset", "tiny", "-p", "unit", unit,
                   "-p", "max_seconds", str(seconds), "-p", "run_dir", f"{folder}/run"]
            subprocess.run(job, check=True)
            results = json.loads(Path(folder, "run", "results.json").read_text())
        rows.append(dict(unit=unit, parameters=results["parameter_count"], steps=results["training"]["step"],
                         tokens_per_second=results["tokens_per_second"], **results["metrics"]))
    return rows, results["corpus"]["name"]


if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 90
    models, corpus = language(seconds)
    out = HERE / "language.json"
    write_json(out, describe(torch.device("cpu")) | dict(language=models, corpus=corpus, seconds=seconds))
    print(out.read_text())
