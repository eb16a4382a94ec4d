"""Train the language models that README and 91_language compare, on a machine that does nothing else:

python results/language.py steps [SECONDS]             SRU, LSTM, SRU++ on the embedded corpus, SRU++ four times as long
python results/language.py time SECONDS FILE [FILE...]  SRU, SRU++, LSTM, GRU for SECONDS on each file

Both run the job 40_enwik8, one run for each unit. `steps`, preset tiny, writes language.json: validation curves, and
what SRU++'s attention and gates do on a line of the test part. `time`, preset tiny-text, writes units.json: each unit
first tries two learning rates on the first file, for a third of the time each, and keeps the better one by validation.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from sru_nb.basics import write_json
from sru_nb.data.streams import load_corpus
from sru_nb.models.language import UNITS, build_model, find_preset, layer_attention, layer_gates, with_unit
from sru_nb.speed import describe
from sru_nb.trainer import load_best

HERE = Path(__file__).resolve().parent
EVERY = 200  # steps between validations
RATES = 2.0, 3.0  # that each unit tries for a third of the time
TIMED = dict(preset="tiny-text", average=0.998, every=500)


def train(unit: str, seconds: float, run: Path, corpus: str = "embedded", every: int = EVERY, **more) -> dict:
    "One run of the job: sizes, scores, and the curve as [step, seconds, bits per character of the validation part]."
    parameters = dict(corpus=corpus, preset="tiny", unit=unit, eval_every=every, max_seconds=seconds, compress=0,
                      run_dir=run) | more
    command = [sys.executable, "-m", "sru_nb.run", HERE.parent / "nbs" / "40_enwik8.ipynb",
               run.parent / f"{run.name}.ipynb", "--quiet"]
    command += [part for pair in parameters.items() for part in ("-p", *pair)]
    subprocess.run([str(part) for part in command], check=True)
    results = json.loads((run / "results.json").read_text())
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    curve = [[line["step"], line["seconds"], round(line["bpc"], 4)] for line in lines if line["kind"] == "valid"]
    return dict(unit=unit, parameters=results["parameter_count"], steps=results["training"]["step"], settings=more,
                samples_per_second=results["samples_per_second"], curve=curve, corpus=results["corpus"],
                **results["metrics"])


def inside(run: Path) -> dict:
    "Attention (layer, L, L) and gates (layer, 2, L, units) of a trained SRU++ over the job's line, as base64 of bytes."
    data = load_corpus("embedded")
    model = build_model(with_unit(find_preset("tiny"), "srupp", len(data.vocab)), len(data.vocab))
    load_best(run, model)
    line = max(bytes(data.test[:20000]).splitlines(), key=len)[:70].strip()
    ids = torch.from_numpy(data.encode(line))

    def packed(parts):  # numbers from 0 to 1
        return base64.b64encode((255 * torch.stack(parts)).round().byte().numpy().tobytes()).decode()

    return dict(corpus=data.name, text=line.decode(), layers=len(model.rnn), alpha=[
        cell.transform_module.alpha.item() for cell in model.rnn], attention=packed([
            a[0] for a in layer_attention(model, ids)]), gates=packed([
                torch.stack(pair)[:, :, ::8] for pair in layer_gates(model, ids)]))


def equal_steps(folder: Path, seconds: float = 90):
    "SRU, LSTM, and SRU++ for four times as long, so that it makes as many steps."
    rates = {"srupp": {"learning_rate": 0.8}}
    models = [train(unit, seconds * (4 if unit == "srupp" else 1), folder / unit, **rates.get(unit, {}))
              for unit in ("sru", "lstm", "srupp")]
    srupp = inside(folder / "srupp")
    return "language.json", dict(language=models, corpus=srupp.pop("corpus"), seconds=seconds, srupp=srupp)


def equal_time(folder: Path, seconds: float, *files: str):
    "All four units on each file, at the rate that did best on the first one."
    tried, best = [], {}
    for unit in UNITS:
        runs = [train(unit, seconds / 3, folder / f"{unit}-{rate}", files[0], learning_rate=rate, **TIMED)
                for rate in RATES]
        tried += runs
        best[unit] = min(runs, key=lambda run: run["valid_bpc"])["settings"]["learning_rate"]
    models = [train(unit, seconds, folder / f"{unit}-{Path(file).stem}", file, learning_rate=best[unit], **TIMED)
              for file in files for unit in UNITS]
    return "units.json", dict(seconds=seconds, models=models, tried=[
        {key: run[key] for key in ("unit", "settings", "valid_bpc", "steps")} for run in tried])


if __name__ == "__main__":
    if sys.argv[1:2] == ["steps"]:
        chosen, arguments = equal_steps, [float(seconds) for seconds in sys.argv[2:3]]
    elif sys.argv[1:2] == ["time"] and len(sys.argv) > 3:
        chosen, arguments = equal_time, [float(sys.argv[2]), *(str(Path(file).absolute()) for file in sys.argv[3:])]
    else:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        name, results = chosen(Path(folder), *arguments)
    write_json(HERE / name, describe(torch.device("cpu")) | results)
    print({row["unit"]: row["curve"][-1] for row in results.get("language", results.get("models"))})
