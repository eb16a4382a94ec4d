"""Forecasts of ETT beside the published figures: results/forecast.json, which nbs/94_forecasting.ipynb draws.

python results/forecast.py trials FOLDER      what was chosen between, on the validation parts alone
python results/forecast.py runs FOLDER        SRU and the GRU with three seeds, at both look-backs
python results/forecast.py script FOLDER      SegRNN's script for a look-back of 96, SRU in the GRU's place; the GRU
python results/forecast.py linear FOLDER      DLinear by published settings, and the repeated day
python results/forecast.py manners FOLDER     one thing changed at a time, on the validation part of ETTh1
python results/forecast.py seconds FOLDER     seconds an epoch, SRU and GRU taking turns, two threads

FOLDER holds ETTh1.csv and ETTh2.csv. One network forecasts 720 hours; its first 96, 192 and 336 are the other
horizons, each with the weights of the step at which its own validation windows were forecast best. What is chosen is
chosen by validation; what of the test part was seen in between is told on the page. Seconds are those of the
processor, one thread. What is in the file already is not trained again.
"""

import json
import sys
import time
from copy import deepcopy
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import torch
from filelock import FileLock

from sru_nb.basics import evaluating, write_json
from sru_nb.data.series import load_series, split_series
from sru_nb.job import keep_memory
from sru_nb.models import forecast
from sru_nb.models.forecast import (LinearForecaster, SeasonalForecaster, SegmentForecaster, forecast_figures,
                                    forecast_loss, predict_windows)
from sru_nb.optim import build_optimizer, build_scheduler
from sru_nb.trainer import AveragedWeights

FILE, HORIZONS = Path(__file__).with_name("forecast.json"), (96, 192, 336, 720)
EMPTY = {"trials": [], "runs": [], "script": [], "linear": [], "season": [], "manners": [], "seconds": []}
# chosen on the validation parts
RECIPE = dict(unit="sru", segment=24, hidden_size=128, num_layers=1, dropout=0.3, norm="last", rate=8e-3, steps=600,
              batch=64, asked=6, loss="mae", warmup=0.05, optimizer="adamw", schedule="cosine", clip=0.0, average=0.0,
              accumulate=1, weight_decay=0.0, options={}, season=0, spectrum=0.0)
WIDE = dict(hidden_size=256, optimizer="muon", rate=0.02, options={"adamw_lr": 4e-3}, spectrum=0.5, season=24)
SETTINGS = {("ETTh1", 96): WIDE, ("ETTh1", 720): dict(segment=48, rate=4e-3, dropout=0.5),
            ("ETTh2", 96): WIDE | dict(options={"adamw_lr": 2e-3}, steps=300, dropout=0.5, norm="window"),
            ("ETTh2", 720): dict(segment=48, dropout=0.5, batch=16, season=24)}
GRU_RATE = 0.5  # of SRU's
TRIALS = [  # set, look-back, seed, changes of the recipe; the runs' own validation figures stand beside them
    ("ETTh1", 96, 0, dict(hidden_size=256, rate=4e-3)), ("ETTh1", 96, 0, dict(dropout=0.5, batch=16)),
    ("ETTh1", 720, 0, dict(segment=48, rate=4e-3, dropout=0.5, batch=16)),
    ("ETTh2", 96, 0, dict(dropout=0.5, norm="window", batch=16)), ("ETTh2", 96, 0, dict(dropout=0.5, batch=16)),
    ("ETTh2", 720, 0, dict(segment=48, dropout=0.5, batch=16)), ("ETTh2", 720, 0, dict(dropout=0.5, batch=16)),
    ("ETTh2", 720, 0, dict(segment=48, dropout=0.5, batch=16, rate=4e-3)),
    ("ETTh2", 720, 0, dict(segment=48, dropout=0.5, rate=4e-3)),
    ("ETTh2", 720, 7, dict(segment=48, dropout=0.5, batch=16)),
    *(("ETTh2", 720, seed, dict(rate=1e-3, steps=300)) for seed in (1, 2, 3)),
    *(("ETTh2", 96, seed, dict(rate=2e-3, steps=300, dropout=0.5, norm="window") | season)
      for season in ({}, dict(season=24)) for seed in (1, 2, 3)),
    *(("ETTh2", 720, seed, dict(segment=48, dropout=0.5, batch=16)) for seed in (1, 2, 3)),
    *(("ETTh1", 96, seed, {}) for seed in (1, 2, 3)), *(("ETTh1", 96, seed, dict(season=24)) for seed in (1, 2)),
    *(("ETTh1", 720, seed, dict(segment=48, rate=4e-3, dropout=0.5, season=24)) for seed in (1, 2))]
LINEAR = [  # by DLinear's authors' scripts; at 720, where SegRNN's authors do not say how, by their program as it comes
    *(("ETTh1", 336, dict(rate=5e-3, seed=seed)) for seed in (2021, 1, 2, 3, 4)), ("ETTh2", 336, dict(rate=0.05)),
    ("ETTh1", 720, dict(rate=1e-4, size=128, loss="mae", epochs=30, patience=5, decay=0.8, hold=3))]
SCRIPT_RATE = {"ETTh1": 1e-3, "ETTh2": 2e-4}  # of SegRNN's scripts for a look-back of 96
BATCH_THEN = 256  # SegRNN at a look-back of 720, when its program left out the windows that fill no batch


def shares(segment):
    """How often each segment is asked for: as it counts in the mean of the errors at the four horizons."""
    steps = np.arange(HORIZONS[-1])
    weight = sum((steps < horizon) / horizon for horizon in HORIZONS)
    return torch.tensor(np.add.reduceat(weight, np.arange(0, len(steps), segment)), dtype=torch.float32)


def padded(data, part, lookback):
    """All windows that begin in the rows up to the end of a part, NaN where their future is not in it; and that end."""
    end = data.ends[("train", "valid", "test").index(part)]
    values = torch.cat([data.values[:end], data.values.new_full((HORIZONS[-1], data.values.shape[1]), torch.nan)])
    return values.unfold(0, lookback + HORIZONS[-1], 1), end


def training_batches(data, lookback, size, seed):
    """Epoch after epoch of windows that have at least the shortest horizon; what they lack of others is NaN."""
    rng, (windows, _) = np.random.default_rng(seed), padded(data, "train", lookback)
    starts = data.starts("train", lookback, HORIZONS[0])
    while True:
        for first in np.array_split(rng.permutation(starts), len(starts) // size):
            cut = windows[torch.from_numpy(first)]
            yield cut[..., :lookback], cut[..., lookback:]


@torch.no_grad()
def figures(model, data, part, lookback, count=0):
    """MSE and MAE at each horizon, each over all windows that the part has for it, or over as many evenly spread.

    Of all windows also `cut`: without the last of them, if they fill no batch, as SegRNN's program once measured.
    """
    (windows, end), total = padded(data, part, lookback), {(horizon, kind): np.zeros(3) for horizon in HORIZONS
                                                           for kind in ("", "cut_")[: 1 if count else 2]}
    starts = data.starts(part, lookback, HORIZONS[0], count)
    fit = {horizon: starts[starts + lookback + horizon <= end] for horizon in HORIZONS}
    last = {(horizon, kind): first[len(first) // (BATCH_THEN if kind else 1) * (BATCH_THEN if kind else 1) - 1]
            for horizon, first in fit.items() for kind in ("", "cut_")}
    with evaluating(model):
        for first in np.array_split(starts, -(-len(starts) // 128)):
            cut = windows[torch.from_numpy(first)]
            error = model(cut[..., :lookback]) - cut[..., lookback:]
            for (horizon, kind), sums in total.items():
                inside = error[torch.from_numpy(first <= last[horizon, kind])][..., :horizon].double()
                sums += inside.square().sum().item(), inside.abs().sum().item(), inside.numel()
    results = {horizon: {} for horizon in HORIZONS}
    for (horizon, kind), (squares, sizes, numbers) in total.items():
        results[horizon] |= {f"{kind}mse": float(squares / numbers), f"{kind}mae": float(sizes / numbers)}
    return results


def spectrum_loss(model, batch, share, weights):
    """The absolute errors of all steps, each as it counts in the mean over the horizons; a share from their spectra."""
    history, future = batch
    known = future.isfinite()
    error = torch.where(known, model(history) - future, 0.0)
    spectra = sum(torch.fft.rfft(error[..., :horizon], norm="ortho").abs().mean() for horizon in HORIZONS)
    return (1 - share) * (weights * error.abs()).sum() / known.sum() + share * spectra / len(HORIZONS)


def train(data, lookback, seed, measure=50, windows=350, test=True, **changes):
    """One run: what it is, and for each horizon the figures of the step that validation chose."""
    r = RECIPE | changes
    data = split_series(data.series, season=r["season"])
    torch.manual_seed(seed)
    model = SegmentForecaster(len(data.series.channels), lookback, HORIZONS[-1], r["unit"], r["segment"],
                              r["hidden_size"], r["num_layers"], r["dropout"], r["norm"])
    batches = training_batches(data, lookback, r["batch"], seed)
    optimizer = build_optimizer(model, r["optimizer"], lr=r["rate"], weight_decay=r["weight_decay"], **r["options"])
    schedule = build_scheduler(r["schedule"], warmup=round(r["warmup"] * r["steps"]),
                               **({} if r["schedule"] == "constant" else {"total": r["steps"]}))
    rates = [group["lr"] for group in optimizer.param_groups]
    averaged = AveragedWeights(model, r["average"]) if r["average"] else None
    drawn = dict(loss=r["loss"], asked=r["asked"], shares=shares(r["segment"]))
    weights = shares(1) / shares(1).mean()  # of each step, for the loss with a share of the spectrum
    best, curve, began, measuring = {}, [], time.process_time(), 0.0
    for step in range(1, r["steps"] + 1):
        optimizer.zero_grad()
        for _ in range(r["accumulate"]):
            loss = (spectrum_loss(model, next(batches), r["spectrum"], weights) if r["spectrum"]
                    else forecast_loss(model, next(batches), **drawn)[0])
            (loss / r["accumulate"]).backward()
        if r["clip"]:
            torch.nn.utils.clip_grad_norm_(model.parameters(), r["clip"])
        for group, rate in zip(optimizer.param_groups, rates):
            group["lr"] = rate * schedule(step)
        optimizer.step()
        if averaged:
            averaged.update(model)
        if step % measure and step < r["steps"]:
            continue
        start, watched = time.process_time(), averaged.module if averaged else model
        found = figures(watched, data, "valid", lookback, windows)
        curve.append({"step": step, **{str(horizon): found[horizon]["mse"] for horizon in HORIZONS}})
        for horizon, values in found.items():
            if horizon not in best or values["mse"] < best[horizon][0]["mse"]:
                best[horizon] = values, step, deepcopy(watched.state_dict())
        measuring += time.process_time() - start
    seconds = time.process_time() - began - measuring
    result = {"data": data.series.name, "lookback": lookback, "unit": r["unit"], "seed": seed, "changes": changes,
              "parameters": sum(p.numel() for p in model.parameters()), "seconds": seconds, "curve": curve,
              "valid": {str(h): best[h][0] for h in HORIZONS}, "step": {str(h): best[h][1] for h in HORIZONS}}
    if test:
        result["test"] = {}
        for step in {best[h][1] for h in HORIZONS}:  # each set of weights is asked once
            mine = [h for h in HORIZONS if best[h][1] == step]
            model.load_state_dict(best[mine[0]][2])
            found = figures(model, data, "test", lookback)
            result["test"] |= {str(h): found[h] for h in mine}
    return result


def train_by_script(make, data, lookback, horizon, seed=2021, rate=1e-3, size=32, loss="mse", epochs=10, patience=3,
                    decay=0.5, hold=1, whole=True):
    """As the papers' programs do: Adam, the rate times `decay` after each epoch from the `hold`th on.

    The figures as stopped, and after all epochs if these are made (`whole`)."""
    torch.manual_seed(seed)
    model = make(len(data.series.channels), lookback, horizon)
    batches = data.batches("train", lookback, horizon, size, seed)
    valid, test = (data.batches(part, lookback, horizon, 128) for part in ("valid", "test"))
    optimizer, best, stopped, began = build_optimizer(model, "adam", lr=rate), None, None, time.process_time()
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = rate * decay ** max(0, epoch + 1 - hold)
        for batch in batches:
            optimizer.zero_grad()
            forecast_loss(model, batch, loss=loss)[0].backward()
            optimizer.step()
        value = forecast_figures(*predict_windows(model, valid)[:2])[loss]
        if stopped is None and (best is None or value < best[0]):
            best = value, epoch + 1, deepcopy(model.state_dict())
        elif stopped is None and epoch + 1 - best[1] >= patience:
            stopped = epoch + 1
            if not whole:
                break
    row = {"data": data.series.name, "lookback": lookback, "horizon": horizon, "seed": seed, "rate": rate,
           "batch": size, "loss": loss, "epochs": epochs, "best": best[1], "valid": best[0],
           "seconds": time.process_time() - began}
    for name, weights in (("last", model.state_dict()), ("stopped", best[2]))[not whole:]:
        model.load_state_dict(weights)
        row[name] = forecast_figures(*predict_windows(model, test)[:2])
    return row


def train_in_place(unit, data, horizon, seed):
    """The network and the settings of SegRNN's script for a look-back of 96, with `unit` where it has its GRU."""
    def make(channels, lookback, horizon):
        return SegmentForecaster(channels, lookback, horizon, unit, 24, 512, dropout=0.5)

    settings = dict(rate=SCRIPT_RATE[data.series.name], size=256, epochs=30, patience=10, decay=0.8, hold=3)
    return {"unit": unit, **train_by_script(make, data, 96, horizon, seed, whole=False, **settings)}


SHORT = dict(steps=200)
MANNERS = {
    "as it is": {},
    "constant rate, no warm-up": dict(schedule="constant", warmup=0.0),
    "cosine without warm-up": dict(warmup=0.0),
    "cosine with one hard restart": dict(schedule="cosine_restarts"),
    "two batches of 32 a step": dict(batch=32, accumulate=2),
    "gradients clipped at 1": dict(clip=1.0),
    "moving average of the weights, 0.98": dict(average=0.98),
    "weight decay 0.1": dict(weight_decay=0.1),
    "Muon, 0.02 for matrices": dict(optimizer="muon", rate=0.02, options={"adamw_lr": 8e-3}),
}


def epoch_seconds(data, lookback, horizon, width, turns=7, batch=64):
    """Seconds of an epoch, SRU and GRU taking turns: the median step of each, times the batches of an epoch."""
    batches = data.batches("train", lookback, horizon, batch, 1)
    taken, models = {}, {}
    for unit in ("sru", "gru"):
        model = SegmentForecaster(7, lookback, horizon, unit, 24, width, 1, 0.5)
        models[unit] = model, build_optimizer(model, "adamw", lr=1e-3)
    for turn, windows in zip(range(turns + 2), batches):
        for unit, (model, optimizer) in models.items():
            start = time.perf_counter()
            optimizer.zero_grad()
            forecast_loss(model, windows)[0].backward()
            optimizer.step()
            if turn > 1:
                taken.setdefault(unit, []).append(time.perf_counter() - start)
    return {"data": data.series.name, "lookback": lookback, "horizon": horizon, "hidden_size": width, "threads": 2,
            "batches": len(batches), "seconds": {unit: median(steps) * len(batches) for unit, steps in taken.items()}}


def read():
    return EMPTY | (json.loads(FILE.read_text()) if FILE.exists() else {})


def add(kind, row):
    with FileLock(FILE.with_suffix(".lock")):  # another process may have written, or be about to
        found = read()
        found[kind].append(row)
        write_json(FILE, found)
    print(kind, {key: row[key] for key in row if key not in ("curve", "valid", "step")}, flush=True)


def main(kind, folder, *only):
    keep_memory()
    torch.set_num_threads(1)
    data = {name: split_series(load_series(name, folder)) for name in ("ETTh1", "ETTh2")}
    if kind == "runs":
        order = [("sru", 1), ("gru", 1), ("sru", 2), ("sru", 3), ("gru", 2), ("gru", 3)]
        for unit, seed in order:
            for (name, lookback), settings in SETTINGS.items():
                key = (name, lookback, unit, seed)
                if key in [(r["data"], r["lookback"], r["unit"], r["seed"]) for r in read()["runs"]] or \
                        only and f"{unit}{seed}" not in only and f"{name}-{lookback}" not in only:
                    continue
                slower = GRU_RATE if unit == "gru" else 1
                changes = settings | {"unit": unit, "rate": settings.get("rate", RECIPE["rate"]) * slower}
                if "options" in changes:
                    changes["options"] = {name: rate * slower for name, rate in changes["options"].items()}
                add("runs", train(data[name], lookback, seed, **changes))
    if kind == "script":
        forecast.step = torch.compile(forecast.step)  # the same numbers in fewer passes through the memory
        for (unit, seed), horizon, name in product([("sru", 1), ("sru", 2), ("sru", 3), ("gru", 1)], HORIZONS, data):
            if (not only or f"{name}-{unit}{seed}" in only) and (unit, seed, horizon, name) not in [
                    (r["unit"], r["seed"], r["horizon"], r["data"]) for r in read()["script"]]:
                add("script", train_in_place(unit, data[name], horizon, seed))
    if kind == "trials":
        for name, lookback, seed, changes in TRIALS:
            if (name, lookback, seed, changes) not in [(r["data"], r["lookback"], r["seed"], r["changes"])
                                                       for r in read()["trials"]]:
                add("trials", train(data[name], lookback, seed, test=False, **changes))
    if kind == "manners":
        for name, changes in MANNERS.items():
            if name not in [row["name"] for row in read()["manners"]]:
                add("manners", {"name": name, **train(data["ETTh1"], 96, 1, test=False, **SHORT | changes)})
    if kind == "seconds":
        torch.set_num_threads(2)
        for width in (128, 512):
            add("seconds", epoch_seconds(data["ETTh1"], 96, 96, width))
    if kind == "linear":
        for name, lookback, settings in LINEAR:
            for horizon in HORIZONS:
                key = name, lookback, horizon, settings.get("seed", 2021)
                if key not in [(r["data"], r["lookback"], r["horizon"], r["seed"]) for r in read()["linear"]]:
                    add("linear", train_by_script(LinearForecaster, data[name], lookback, horizon, **settings))
        for name, part in data.items():
            for horizon in HORIZONS:
                if (name, horizon) not in [(r["data"], r["horizon"]) for r in read()["season"]]:
                    model = SeasonalForecaster(7, 96, horizon)
                    add("season", {"data": name, "horizon": horizon, **forecast_figures(
                        *predict_windows(model, part.batches("test", 96, horizon, 128))[:2])})


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("trials", "runs", "script", "linear", "manners", "seconds"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
