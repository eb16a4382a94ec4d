"""Train the language models that README compares: `python results/language.py [SECONDS]` writes results/language.json.

The job 40_enwik8 on the embedded corpus, preset tiny, one run for each unit, on a machine that does nothing else: SRU
and LSTM for SECONDS each (default 90), SRU++ for four times as long, so that it makes as many steps. With each its
validation curve; with SRU++ what its attention and gates do on a line of the test part.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from sru_nb.checkpoint import write_json
from sru_nb.data.lm import load_corpus
from sru_nb.models.language import build_model, find_preset, layer_attention, layer_gates
from sru_nb.speed import describe
from sru_nb.trainer import load_best

HERE = Path(__file__).resolve().parent
EVERY = 200  # steps between validations
RATES = {"sru": "0", "lstm": "0", "srupp": "0.8"}  # 0: the preset's, 1.2, chosen for SRU


def train(unit: str, seconds: float, run: Path) -> dict:
    "One run of the job: sizes, scores, and the curve as [step, seconds, bits per character of the validation part]."
    job = [sys.executable, "-m", "papermill", "--no-progress-bar", str(HERE.parent / "nbs" / "40_enwik8.ipynb"),
           str(run.parent / f"{unit}.ipynb"), "-p", "corpus", "embedded", "-p", "preset", "tiny", "-p", "unit", unit,
           "-p", "learning_rate", RATES[unit], "-p", "eval_every", str(EVERY), "-p", "max_seconds", str(seconds),
           "-p", "run_dir", str(run)]
    subprocess.run(job, check=True)
    results = json.loads((run / "results.json").read_text())
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    curve = [[line["step"], line["seconds"], round(line["bpc"], 4)] for line in lines if line["kind"] == "valid"]
    return dict(unit=unit, parameters=results["parameter_count"], steps=results["training"]["step"],
                tokens_per_second=results["tokens_per_second"], curve=curve, **results["metrics"])


def inside(run: Path) -> dict:
    "Attention (layer, L, L) and gates (layer, 2, L, units) of a trained SRU++ over the job's line, as base64 of bytes."
    data = load_corpus("embedded")
    model = build_model(find_preset("tiny"), len(data.vocab), "srupp")
    load_best(run, model)
    line = max(bytes(data.test[:20000]).splitlines(), key=len)[:70].strip()
    ids = torch.from_numpy(data.encode(line))

    def packed(parts):  # numbers from 0 to 1
        return base64.b64encode((255 * torch.stack(parts)).round().byte().numpy().tobytes()).decode()

    return dict(corpus=data.name, text=line.decode(), layers=len(model.rnn), alpha=[
        cell.transform_module.alpha.item() for cell in model.rnn], attention=packed([
            a[0] for a in layer_attention(model, ids)]), gates=packed([
                torch.stack(pair)[:, :, ::8] for pair in layer_gates(model, ids)]))


if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 90
    with tempfile.TemporaryDirectory() as folder:
        models = [train(unit, seconds * (4 if unit == "srupp" else 1), Path(folder, unit))
                  for unit in ("sru", "lstm", "srupp")]
        found = inside(Path(folder, "srupp"))
    out = HERE / "language.json"
    write_json(out, describe(torch.device("cpu")) | dict(language=models, corpus=found.pop("corpus"), seconds=seconds,
                                                          srupp=found))
    print({row["unit"]: row["curve"][-1] for row in models})
