"""Train the language models that README and 91_language compare, on a machine that does nothing else:

python results/language.py steps [SECONDS]             SRU, LSTM, SRU++ on the embedded corpus, SRU++ four times as long
python results/language.py time SECONDS FILE [FILE...]  SRU, SRU++, LSTM, GRU for SECONDS on each file
python results/language.py attention STEPS FILE [FILE...]  SRU++ with attention in all layers or a few, for equal steps
python results/language.py peers                       SRU, LSTM, GRU and the units of 89_peers for equal steps

The first three run the job 40_enwik8, one run for each unit. `steps`, preset tiny, writes language.json: validation
curves, and what SRU++'s attention and gates do on a line of the test part. `time`, preset tiny-text, writes units.json:
each unit first tries two learning rates on the first file, for a third of the time each, and keeps the better one by
validation.
`attention`, preset tiny-text, two seeds, writes attention.json, and times the steps of preset tiny, all taking turns;
only the times need a quiet machine.
`peers` writes language_peers.json: every unit at 0.15M parameters on two texts that come with Python, 800 steps, three
seeds, after 200 steps at each of three learning rates, of which the best by validation is kept; then the time of a
step, all taking turns. It needs no quiet machine, and goes on where its file ends.
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
from sru_nb.data.embedded import embedded_file, topic_texts
from sru_nb.data.streams import Corpus, Streams, load_corpus, open_corpus
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
from sru_nb.optim import build_optimizer, build_scheduler
from sru_nb.peers import BLOCKS, register_units
from sru_nb.speed import describe, median_seconds
from sru_nb.trainer import load_best

HERE = Path(__file__).resolve().parent
EVERY = 200  # steps between validations
RATES = 2.0, 3.0  # that each unit tries for a third of the time
PEER_RATES = {unit: (0.005, 0.012, 0.03) for unit in ("sru", "lstm", "gru")}  # of `peers`; of the others:
OTHERS = 0.002, 0.005, 0.012
LAYERS = 1, 2, 3, 6  # of `attention`: in every such layer, of six
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
    "Attention (layers that have it, L, L) and gates (layer, 2, L, units) of a trained SRU++ over the job's line."
    data = load_corpus("embedded")
    model = build_model(with_unit(find_preset("tiny"), "srupp", len(data.vocab)), len(data.vocab))
    load_best(run, model)
    line = max(bytes(data.test[:20000]).splitlines(), key=len)[:70].strip()
    ids = torch.from_numpy(data.encode(line))

    def packed(parts):  # numbers from 0 to 1
        return base64.b64encode((255 * torch.stack(parts)).round().byte().numpy().tobytes()).decode()

    attention = {layer: weights[0] for layer, weights in enumerate(layer_attention(model, ids)) if weights is not None}
    return dict(corpus=data.name, text=line.decode(), layers=len(model.rnn),
                alpha={layer: model.rnn[layer].transform_module.alpha.item() for layer in attention},
                attention=packed(list(attention.values())),
                gates=packed([torch.stack(pair)[:, :, ::8] for pair in layer_gates(model, ids)]))


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


def attention_layers(folder: Path, steps: int, *files: str):
    "SRU++ with attention in every layer, in every second or third, and in the last alone."
    models = [train("srupp", 0, folder / f"{Path(file).stem}-{seed}-{every}", file, steps, steps=steps, seed=seed,
                    attention_every=every, preset="tiny-text")
              for file in files for seed in (1, 2) for every in LAYERS]
    tiny = find_preset("tiny")
    presets = {str(every): with_unit(replace(tiny, attention_every=every), "srupp", 205) for every in LAYERS}
    return "attention.json", dict(models=models, step_seconds=time_steps({"sru": tiny} | presets, 205))


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


def text_of(name: str) -> Corpus:
    "The library's sources, or the documentation's paragraphs."
    if name == "stdlib":
        return load_corpus("embedded")
    return open_corpus(embedded_file("docs", "".join(topic_texts().values()).encode()).path, "docs")


def training_step(model, optimizer, window, state, rate: float):
    "One update; the state to carry."
    loss, state = next_symbol_loss(model, window, state)[:2]
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step(), optimizer.zero_grad()
    return recursively_apply(torch.Tensor.detach, state)


def train_peer(unit: str, corpus: str, seed: int, rate: float, steps: int) -> dict:
    "A model after some steps, and its curve as [step, bits per character of the validation part]."
    data, begin = text_of(corpus), time.perf_counter()
    table, V = data.vocab.table, len(data.vocab)
    torch.manual_seed(seed)
    preset = small(unit, V)
    model, windows = build_model(preset, V), Streams(data.train, preset.batch_size, preset.unroll, table)
    parts = {part: Streams(getattr(data, part)[:32768], 16, preset.unroll, table) for part in ("valid", "test")}
    optimizer, schedule = build_optimizer(model, "adam", lr=rate), build_scheduler("inverse_sqrt", warmup=50)
    first = torch.randint(len(windows) - 1, (), generator=torch.Generator().manual_seed(seed)).item()
    state, curve = None, []  # the seed chooses where reading begins, too
    for step in range(1, steps + 1):
        i = (first + step - 1) % len(windows)
        state = training_step(model, optimizer, windows[i], state if i else None, rate * schedule(step))
        if step % 100 == 0:
            curve.append([step, round(bits_per_char(mean_loss(model, parts["valid"])), 4)])
    return dict(unit=unit, corpus=corpus, seed=seed, rate=rate, hidden_size=preset.hidden_size, curve=curve,
                parameters=sum(p.numel() for p in model.parameters()), seconds=time.perf_counter() - begin,
                test_bpc=round(bits_per_char(mean_loss(model, parts["test"])), 4))


def time_steps(presets: dict[str, Preset], V: int) -> dict[str, float]:
    "Seconds of one training step of each, in turns."
    def stepper(preset):
        model, window = build_model(preset, V), torch.randint(V, (2, preset.unroll, preset.batch_size))
        optimizer, state = build_optimizer(model, "adam", lr=0.001), None

        def step():
            nonlocal state
            state = training_step(model, optimizer, tuple(window), state, 0.001)
        return step

    return median_seconds({name: stepper(preset) for name, preset in presets.items()}, torch.device("cpu"), 9)


def compare_peers(limit: float):
    "All units on both texts, until all is done or `limit` seconds are over."
    register_units()
    torch.set_num_threads(1)
    units, path, begin = ("sru", "lstm", "gru", *BLOCKS), HERE / "language_peers.json", time.perf_counter()
    done = json.loads(path.read_text()) if path.exists() else describe(torch.device("cpu")) | dict(tried=[], models=[])

    def missing():
        for unit in units:
            for rate in PEER_RATES.get(unit, OTHERS):
                if not any((row["unit"], row["rate"]) == (unit, rate) for row in done["tried"]):
                    yield "tried", (unit, "stdlib", 0, rate, 200)
        for seed, corpus, unit in itertools.product((1, 2, 3), ("stdlib", "docs"), units):
            best = min((row["curve"][-1][1], row["rate"]) for row in done["tried"] if row["unit"] == unit
                       and row["rate"] in PEER_RATES.get(unit, OTHERS))[1]
            if not any((row["unit"], row["corpus"], row["seed"], row["rate"]) == (unit, corpus, seed, best)
                       for row in done["models"]):
                yield "models", (unit, corpus, seed, best, 800)

    for kind, arguments in missing():
        if time.perf_counter() - begin > limit:
            return
        done[kind].append(train_peer(*arguments))
        print(kind, *arguments, done[kind][-1]["curve"][-1], flush=True)
        write_json(path, done)
    write_json(path, done | describe(torch.device("cpu")) | dict(step_seconds=time_steps(
        {unit: small(unit, 100) for unit in units}, 100)))
    print("all done")


if __name__ == "__main__":
    if sys.argv[1:] == ["peers"]:
        compare_peers(float(os.environ.get("LIMIT", "inf")))
        sys.exit()
    if sys.argv[1:2] == ["steps"]:
        chosen, arguments = equal_steps, [float(seconds) for seconds in sys.argv[2:3]]
    elif sys.argv[1:2] == ["time"] and len(sys.argv) > 3:
        chosen, arguments = equal_time, [float(sys.argv[2]), *(str(Path(file).absolute()) for file in sys.argv[3:])]
    elif sys.argv[1:2] == ["attention"] and len(sys.argv) > 3:
        chosen, arguments = attention_layers, [int(sys.argv[2]), *sys.argv[3:]]
    else:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        name, results = chosen(Path(folder), *arguments)
    write_json(HERE / name, describe(torch.device("cpu")) | results)
    for row in results.get("language", results.get("models")):
        print(row["unit"], row["settings"], row["curve"][-1])
