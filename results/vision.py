"""Units on Fashion-MNIST at equal parameters and equal seconds of one core, for nbs/93_vision.ipynb.

python results/vision.py units FOLDER SECONDS SEEDS    SRU, LSTM and convolution: results/vision.json
python results/vision.py long FOLDER SECONDS           SRU alone for longer

FOLDER holds the files of Fashion-MNIST. Every run has one thread and SECONDS of the processor's time, over which the
learning rate rises and falls; measuring is not counted. Accuracies are those of the validation part, the last 5,000 of
the 60,000 pictures: the test part is not read. What is in the file already is not trained again.
"""

import json
import math
import sys
import time
from pathlib import Path

import torch

from sru_nb.basics import write_json
from sru_nb.data.augment import Augment
from sru_nb.data.images import Batches, load_images
from sru_nb.job import keep_memory
from sru_nb.metrics import accuracy
from sru_nb.models.vision import PRESETS, ImageClassifier, class_loss, count_parameters, predict_logits, with_unit
from sru_nb.optim import build_optimizer

FILE = Path(__file__).with_name("vision.json")
RATE, BATCH, WARMUP = 4e-3, 64, 0.05


def train(data, unit, seed, seconds):
    """One run: what it is, and the accuracy after each quarter of its time."""
    torch.manual_seed(seed)
    mean, std = data.statistics()
    arguments = with_unit(dict(num_classes=10, channels=1, mean=mean, std=std, **PRESETS["tiny"]), unit)
    model = ImageClassifier(**arguments)
    batches = Batches(data.parts["train"], BATCH, seed, Augment(shift=2, flip=True))
    valid = Batches(data.parts["valid"], 250)
    optimizer = build_optimizer(model, "adamw", lr=RATE, weight_decay=0.05)
    class_loss(model, next(iter(valid)))[0].backward()  # kernels are loaded before the clock runs
    model.train()
    done, curve, steps = 0.0, [], 0
    start = time.process_time()
    while done < seconds:
        for batch in batches:
            part = done / seconds
            factor = part / WARMUP if part < WARMUP else (1 + math.cos(math.pi * (part - WARMUP) / (1 - WARMUP))) / 2
            for group in optimizer.param_groups:
                group["lr"] = RATE * max(factor, 1e-3)
            optimizer.zero_grad()
            class_loss(model, batch, label_smoothing=0.1)[0].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            steps += 1
            before, done = done, time.process_time() - start
            if int(4 * done / seconds) > int(4 * before / seconds):
                paused = time.process_time()
                score = accuracy(*predict_logits(model, valid))
                curve.append({"seconds": round(done, 1), "epoch": round(steps / len(batches), 2), "accuracy": score})
                print(unit, seed, curve[-1], flush=True)
                start += time.process_time() - paused
            if done >= seconds:
                break
    return {"unit": unit, "seed": seed, "seconds": seconds, "parameters": count_parameters(**arguments),
            "epochs": curve[-1]["epoch"], "accuracy": curve[-1]["accuracy"], "curve": curve}


def main(kind, folder, seconds, seeds=1):
    torch.set_num_threads(1)
    keep_memory()
    data = load_images("fashion-mnist", folder)
    found = json.loads(FILE.read_text()) if FILE.exists() else {"units": [], "long": []}
    for seed in range(1, int(seeds) + 1):
        for unit in ("sru", "lstm", "conv") if kind == "units" else ("sru",):
            key = (unit, seed, float(seconds))
            if key in [(row["unit"], row["seed"], row["seconds"]) for row in found[kind]]:
                continue
            row = train(data, unit, seed, float(seconds))
            found = json.loads(FILE.read_text()) if FILE.exists() else found  # another process may have written
            found[kind].append(row)
            write_json(FILE, found)


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in ("units", "long"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
