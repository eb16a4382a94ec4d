"""Pictures classified at equal parameters and equal seconds: results/vision.json, which nbs/93_vision.ipynb draws.

python results/vision.py units FOLDER SECONDS SEEDS    SRU, LSTM and convolution on Fashion-MNIST
python results/vision.py long FOLDER SECONDS           SRU alone for longer
python results/vision.py recipes                       augmentations on and off, on digits
python results/vision.py pairs                         seconds of a pair of scans and of its peers, two threads

FOLDER holds the files of Fashion-MNIST. A training has one thread and SECONDS of the processor's time, over which the
learning rate rises and falls; measuring is not counted. Accuracies are those of the validation part, of Fashion-MNIST
the last 5,000 of the 60,000 pictures: no test part is read. What is in the file already is not trained again.
"""

import json
import math
import platform
import sys
import time
from pathlib import Path
from statistics import median

import torch

from sru_nb.basics import write_json
from sru_nb.data.augment import Augment
from sru_nb.data.images import Batches, load_images
from sru_nb.job import keep_memory
from sru_nb.metrics import accuracy
from sru_nb.models.vision import (PRESETS, ImageClassifier, ScanPair, class_loss, count_parameters, predict_logits,
                                  with_unit)
from sru_nb.optim import build_optimizer
from sru_nb.trainer import AveragedWeights

FILE = Path(__file__).with_name("vision.json")
RATE, WARMUP = 4e-3, 0.05
FASHION = dict(preset="tiny", batch=64, augment=Augment(shift=2, flip=True), smoothing=0.1)
DIGITS = dict(preset="digits", batch=32, augment=Augment(shift=1), smoothing=0.1)
RECIPES = {
    "shifted, targets smoothed": {},
    "without shifts": dict(augment=Augment()),
    "without smoothing": dict(smoothing=0.0),
    "moving average of the weights, 0.99": dict(average=0.99),
    "mixup 0.2": dict(mixup=0.2),
    "CutMix 1": dict(cutmix=1.0),
    "erased, one of four": dict(augment=Augment(shift=1, erase=0.25)),
    "strong: parts of at least 60 %, brighter or darker, erased": dict(
        augment=Augment(shift=1, crop_share=0.6, colour=0.3, erase=0.25)),
    "blocks left out, the last one of ten": dict(drop_path=0.1),
}


def train(data, unit, seed, seconds, preset, batch, augment, smoothing, mixup=0.0, cutmix=0.0, average=0.0,
          drop_path=0.0):
    """One run: what it is, and the accuracy after each quarter of its time."""
    torch.manual_seed(seed)
    mean, std = data.statistics()
    arguments = with_unit(dict(num_classes=10, channels=1, mean=mean, std=std, **PRESETS[preset]), unit)
    model = ImageClassifier(**arguments, drop_path=drop_path)
    batches = Batches(data.parts["train"], batch, seed, augment, mixup, cutmix)
    valid = Batches(data.parts["valid"], 250)
    optimizer = build_optimizer(model, "adamw", lr=RATE, weight_decay=0.05)
    averaged = AveragedWeights(model, average) if average else None
    class_loss(model, next(iter(valid)))[0].backward()  # kernels are loaded before the clock runs
    model.train()
    done, curve, steps = 0.0, [], 0
    start = time.process_time()
    while done < seconds:
        for pictures in batches:
            part = done / seconds
            factor = part / WARMUP if part < WARMUP else (1 + math.cos(math.pi * (part - WARMUP) / (1 - WARMUP))) / 2
            for group in optimizer.param_groups:
                group["lr"] = RATE * max(factor, 1e-3)
            optimizer.zero_grad()
            class_loss(model, pictures, label_smoothing=smoothing)[0].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if averaged:
                averaged.update(model)
            steps += 1
            before, done = done, time.process_time() - start
            if int(4 * done / seconds) > int(4 * before / seconds):
                paused = time.process_time()
                score = accuracy(*predict_logits(averaged.module if averaged else model, valid))
                curve.append({"seconds": round(done, 1), "epoch": round(steps / len(batches), 2), "accuracy": score})
                print(unit, seed, curve[-1], flush=True)
                start += time.process_time() - paused
            if done >= seconds:
                break
    return {"unit": unit, "seed": seed, "seconds": seconds, "parameters": count_parameters(**arguments),
            "epochs": curve[-1]["epoch"], "accuracy": curve[-1]["accuracy"], "curve": curve}


def pair_seconds(size, repeats=9):
    """Seconds of a training step of two layers without a depthwise convolution, the units taking turns."""
    H, W, B, C = size
    pairs = {unit: ScanPair(unit, C, local=False) for unit in ("sru", "lstm", "conv")}
    x, seconds = torch.randn(H, W, B, C, requires_grad=True), {unit: [] for unit in pairs}
    gradient = torch.randn(H, W, B, C)
    for turn in range(repeats + 2):
        for unit, pair in pairs.items():
            for tensor in (x, *pair.parameters()):
                tensor.grad = None
            start = time.perf_counter()
            pair(x).backward(gradient)
            if turn > 1:
                seconds[unit].append(time.perf_counter() - start)
    return {"size": list(size), "seconds": {unit: median(taken) for unit, taken in seconds.items()}}


def read():
    return json.loads(FILE.read_text()) if FILE.exists() else {"units": [], "long": [], "recipes": [], "pairs": []}


def add(kind, row):
    found = read()  # another process may have written
    found[kind].append(row)
    write_json(FILE, found)


def main(kind, folder="", seconds=18.0, seeds=3):
    keep_memory()
    torch.manual_seed(0)
    if kind == "pairs":
        torch.set_num_threads(2)
        for size in ((14, 14, 64, 64), (56, 56, 2, 96), (40, 48, 4, 64), (8, 8, 64, 128)):
            add(kind, pair_seconds(size) | {"device": platform.processor() or platform.machine(), "threads": 2})
        return
    torch.set_num_threads(1)
    data = load_images("digits") if kind == "recipes" else load_images("fashion-mnist", folder)
    runs = [("sru", name) for name in RECIPES] if kind == "recipes" else \
        [(unit, "") for unit in (("sru", "lstm", "conv") if kind == "units" else ("sru",))]
    for seed in range(1, int(seeds) + 1):
        for unit, name in runs:
            key = (unit, seed, float(seconds), name)
            if key in [(row["unit"], row["seed"], row["seconds"], row.get("name", "")) for row in read()[kind]]:
                continue
            settings = DIGITS | RECIPES[name] if name else FASHION
            add(kind, train(data, unit, seed, float(seconds), **settings) | ({"name": name} if name else {}))


if __name__ == "__main__":
    if sys.argv[1:2] not in (["units"], ["long"], ["recipes"], ["pairs"]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
