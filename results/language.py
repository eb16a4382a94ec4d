"""Train the language models that README and 91_language compare, on a machine that does nothing else:

python results/language.py steps [SECONDS]             SRU, LSTM, SRU++ on the embedded corpus, SRU++ four times as long
python results/language.py time SECONDS FILE [FILE...]  SRU, SRU++, LSTM, GRU for SECONDS on each file
python results/language.py peers SECONDS FILE          these and the peers of 89_peers, also on the embedded corpus

The first two run the job 40_enwik8, one run for each unit. `steps`, preset tiny, writes language.json: validation
curves, and what SRU++'s attention and gates do on a line of the test part. `time`, preset tiny-text, writes units.json:
each unit first tries two learning rates on the first file, for a third of the time each, and keeps the better one by
validation. `peers` writes language_peers.json: each unit at 0.15M parameters tries three rates on the embedded corpus,
for ten seconds each, and keeps the best by validation; then three seeds on both texts. Seconds are those of one thread
of the CPU, since a busy machine changes these least, and the learning rate falls with them. The command goes on where
its file ends.
"""

import base64
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from accelerate.utils import recursively_apply

from sru_nb.basics import write_json
from sru_nb.data.streams import Streams, load_corpus
from sru_nb.metrics import bits_per_char
from sru_nb.models.language import (
    UNITS,
    Preset,
    build_model,
    count_parameters,
    find_preset,
    layer_attention,
    layer_gates,
    mean_loss,
    next_symbol_loss,
    with_unit,
)
from sru_nb.optim import build_optimizer
from sru_nb.peers import BLOCKS, register_units
from sru_nb.speed import describe
from sru_nb.trainer import load_best

HERE = Path(__file__).resolve().parent
EVERY = 200  # steps between validations
RATES = 2.0, 3.0  # that each unit tries for a third of the time
RATES_OF = {  # of `peers`, where not the usual three
    "srupp": (0.0025, 0.006, 0.015), "attention": (0.0025, 0.006, 0.015), "lstm": (0.01, 0.025, 0.06),
    "gru": (0.01, 0.025, 0.06), "lru": (0.0015, 0.004, 0.01), "rglru": (0.0015, 0.004, 0.01)}
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


def small(unit: str, V: int) -> Preset:
    "A model of 0.15M parameters: SRU's preset with four layers of 96, and every other of as many parameters."
    preset = replace(find_preset("tiny-text"), hidden_size=96, num_layers=4)
    if unit not in BLOCKS:
        return with_unit(preset, unit, V)

    def peer(d):
        return replace(preset, unit=unit, num_layers=BLOCKS[unit][1], hidden_size=d, embedding_size=d)

    def distance(d):
        with torch.device("meta"):
            return abs(sum(p.numel() for p in build_model(peer(d), V).parameters()) - count_parameters(preset, V))

    return peer(min(range(24, 257, 8), key=distance))


def train_peer(unit: str, corpus: str, seed: int, rate: float, seconds: float) -> dict:
    "A model trained for some seconds of one thread: warm-up for a twentieth of them, then the rate falls to 0."
    data = load_corpus(corpus)
    V, table = len(data.vocab), data.vocab.table
    torch.manual_seed(seed)
    preset = small(unit, V)
    model, windows = build_model(preset, V), Streams(data.train, preset.batch_size, preset.unroll, table)
    parts = {part: Streams(getattr(data, part)[:size], 16, preset.unroll, table) for part, size in (
        ("valid", 16384), ("test", 65536))}
    optimizer, state, step, spent, curve = build_optimizer(model, "adam", lr=rate), None, 0, 0.0, []
    first = torch.randint(len(windows) - 1, ()).item()  # the seed chooses where reading begins, too

    def measure(part):
        return round(bits_per_char(mean_loss(model, parts[part])), 4)

    while spent < seconds:
        begin, i, part = time.process_time(), (first + step) % len(windows), spent / seconds
        for group in optimizer.param_groups:
            group["lr"] = rate * min(20 * part + 0.01, (1 - part) / 0.95)
        loss, state = next_symbol_loss(model, windows[i], state if i else None)[:2]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(), optimizer.zero_grad()
        state, step = recursively_apply(torch.Tensor.detach, state), step + 1
        if step > 2:  # kernels are compiled and products are measured before the clock runs
            spent += time.process_time() - begin
        if spent >= (len(curve) + 1) * seconds / 4:
            curve.append([step, round(spent, 1), measure("valid")])
    return dict(unit=unit, corpus=data.name, seed=seed, rate=rate, layers=preset.num_layers, steps=step, curve=curve,
                hidden_size=preset.hidden_size, parameters=sum(p.numel() for p in model.parameters()),
                test_bpc=measure("test"))


def missing(done: dict, files: list[str]):
    "Yield what is still to be done: a key of the results, and arguments of `train_peer`."
    units = "sru", "srupp", "lstm", "gru", *BLOCKS
    tried = {(row["unit"], row["rate"]): row["curve"][-1][2] for row in done["tried"]}
    made = {(row["unit"], row["file"], row["seed"]) for row in done["models"]}
    for unit in units:
        for rate in RATES_OF.get(unit, (0.004, 0.01, 0.025)):
            if (unit, rate) not in tried:
                yield "tried", (unit, files[0], 0, rate, 10.0)
                tried[unit, rate] = done["tried"][-1]["curve"][-1][2]
    best = {unit: min((bpc, rate) for (name, rate), bpc in tried.items() if name == unit)[1] for unit in units}
    for seed, file, unit in itertools.product((1, 2, 3), files, units):
        if (unit, Path(file).name, seed) not in made:
            yield "models", (unit, file, seed, best[unit], done["seconds"])


def equal_cpu_time(seconds: float, file: str, limit: float = float("inf")):
    "All units on both texts, until all is done or `limit` seconds are over."
    register_units()
    torch.set_num_threads(1)
    path, begin = HERE / "language_peers.json", time.perf_counter()
    done = json.loads(path.read_text()) if path.exists() else describe(torch.device("cpu")) | dict(
        seconds=seconds, tried=[], models=[])
    for kind, arguments in missing(done, ["embedded", file]):
        if time.perf_counter() - begin > limit:
            return
        done[kind].append(train_peer(*arguments) | dict(file=Path(arguments[1]).name))
        print(kind, *arguments, done[kind][-1]["curve"], flush=True)
        write_json(path, done)
    print("all done")


if __name__ == "__main__":
    if sys.argv[1:2] == ["peers"] and len(sys.argv) == 4:
        equal_cpu_time(float(sys.argv[2]), sys.argv[3], float(os.environ.get("LIMIT", "inf")))
        sys.exit()
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
