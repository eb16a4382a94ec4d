"""Segmentation at equal parameters and equal seconds: results/segmentation.json, which nbs/93_vision.ipynb draws.

python results/segmentation.py camvid FOLDER SECONDS         SRU alone for long; saved as it goes
python results/segmentation.py units FOLDER SECONDS SEEDS    SRU and a convolution on CamVid
python results/segmentation.py recipes FOLDER SECONDS        what the choices of the recipe are worth, on CamVid
python results/segmentation.py scenes SECONDS                SRU on scenes, which need no files

FOLDER holds CamVid at 240 x 180: train/ and val/ with images/ and labels/, of which 11 is not measured. A training has
one thread and SECONDS of the processor's time, over which the learning rates rise and fall; measuring is not counted.
Figures are those of the validation part, of scenes also of their test part. What is in the file is not trained again.
"job" there is what nbs/46_segmentation.ipynb gave on its default; "choices" says what the recipe was chosen by.
"""

import json
import sys
import time
from pathlib import Path

import torch

from sru_nb.basics import write_json
from sru_nb.data.augment import Augment
from sru_nb.data.dense import DenseBatches, load_masks
from sru_nb.job import keep_memory
from sru_nb.metrics import segmentation_figures
from sru_nb.models.segmenter import Segmenter, segmentation_matrix, segmenter_loss, weigh_classes
from sru_nb.models.vision import with_unit
from sru_nb.optim import build_optimizer
from sru_nb.trainer import AveragedWeights

FILE = Path(__file__).with_name("segmentation.json")
NETWORK = dict(widths=(32, 64, 128), depths=(2, 4, 4), width=48, edge=24)
STREET = Augment(crop=160, scale_low=0.6, scale_high=1.8, flip=True, colour=0.3)
STRONG = Augment(crop=160, scale_low=0.6, scale_high=2.0, flip=True, colour=0.4, rotate=5.0)
DIGITS = Augment(scale_low=0.7, scale_high=1.4, colour=0.2, rotate=5.0)
SEVERAL = dict(scales=(1, 1.5), flip=True)  # answers that are averaged; chosen on the validation part
RECIPES = {
    "Muon at 0.02": {},
    "AdamW alone": dict(optimizer="adamw"),
    "every class with the same weight": dict(weights="none"),
}


def factor(part, warmup=0.05, power=0.9):
    """Of the learning rates, when a part of the time is over: a rise, then the polynomial of Chen et al. (2017)."""
    return part / warmup if part < warmup else (1 - (part - warmup) / (1 - warmup)) ** power


def figures(model, images, classes, **test):
    matrix = segmentation_matrix(model, DenseBatches(images, 8), **test)
    return segmentation_figures(matrix, classes)


def train(data, unit, seed, seconds, augment=STREET, optimizer="muon", rate=0.02, weights="sqrt", average=0.97,
          batch=4, measures=4, folder=None):
    """One run: what it is, its figures after each part of its time, those of several answers averaged."""
    torch.manual_seed(seed)
    mean, std = data.statistics()
    arguments = with_unit(dict(num_classes=len(data.classes), mean=mean, std=std, **NETWORK), unit, Segmenter)
    model = Segmenter(**arguments)
    own = dict(lr=rate, adamw_lr=3e-3) if optimizer == "muon" else dict(lr=3e-3)
    optimizer = build_optimizer(model, optimizer, weight_decay=0.05, **own)
    rates = [group["lr"] for group in optimizer.param_groups]
    batches = DenseBatches(data.parts["train"], batch, seed, augment)
    counts, averaged = weigh_classes(data.parts["train"].counts(), weights), AveragedWeights(model, average)
    segmenter_loss(model, next(iter(DenseBatches(data.parts["valid"], 2))))[0].backward()  # kernels are loaded
    row = {"unit": unit, "seed": seed, "seconds": seconds, "parameters": sum(p.numel() for p in model.parameters()),
           "augment": str(augment), "curve": []}
    model.train()
    done, steps, losses, start = 0.0, 0, [], time.process_time()
    while done < seconds:
        for pictures in batches:
            for group, base in zip(optimizer.param_groups, rates):
                group["lr"] = base * max(factor(done / seconds), 1e-3)
            optimizer.zero_grad()
            loss = segmenter_loss(model, pictures, weights=counts)[0]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            averaged.update(model)
            steps, before, done = steps + 1, done, time.process_time() - start
            losses.append(loss.item())
            if int(measures * done / seconds) > int(measures * before / seconds):
                paused = time.process_time()
                found = figures(averaged.module, data.parts["valid"], data.classes)
                row["curve"].append({"seconds": round(done, 1), "epoch": round(steps / len(batches), 2), "steps": steps,
                                     "loss": sum(losses) / len(losses), "miou": found["miou"],
                                     "pixel_accuracy": found["pixel_accuracy"]})
                row |= {"miou": found["miou"], "pixel_accuracy": found["pixel_accuracy"], "iou": found["iou"]}
                print(unit, seed, row["curve"][-1], flush=True)
                losses = []
                if folder:
                    averaged.module.save_pretrained(folder, {"classes": data.classes})
                    write_json(Path(folder) / "row.json", row)
                start += time.process_time() - paused
            if done >= seconds:
                break
    for part in [part for part in ("valid", "test") if part in data.parts and folder]:
        found = {name: figures(averaged.module, data.parts[part], data.classes, **test)
                 for name, test in (("once", {}), ("scales_and_flip", SEVERAL))}
        row[part] = {name: {key: value[key] for key in ("miou", "pixel_accuracy", "mean_accuracy", "iou")}
                     for name, value in found.items()}
    return row


def read():
    kinds = "camvid", "units", "recipes", "scenes", "job", "choices"
    return json.loads(FILE.read_text()) if FILE.exists() else {kind: [] for kind in kinds}


def add(kind, row):
    found = read()  # another process may have written
    found[kind].append(row)
    write_json(FILE, found)


def main(kind, *words):
    keep_memory()
    torch.set_num_threads(1)
    folder, (seconds, *seeds) = (None, words) if kind == "scenes" else (words[0], words[1:])
    data = load_masks("scenes") if kind == "scenes" else load_masks("camvid", folder, ignore=11)
    runs = {"camvid": [("sru", "", dict(augment=STRONG, average=0.98, measures=12, folder="runs/camvid"))],
            "scenes": [("sru", "", dict(augment=DIGITS, average=0.98, measures=6, folder="runs/scenes"))],
            "units": [(unit, "", {}) for unit in ("sru", "conv")],
            "recipes": [("sru", name, options) for name, options in RECIPES.items()]}[kind]
    for seed in range(1, int(*seeds or [1]) + 1):
        for unit, name, options in runs:
            key = (unit, seed, float(seconds), name)
            if key not in [(row["unit"], row["seed"], row["seconds"], row.get("name", "")) for row in read()[kind]]:
                add(kind, train(data, unit, seed, float(seconds), **options) | ({"name": name} if name else {}))


if __name__ == "__main__":
    if sys.argv[1:2] not in (["camvid"], ["units"], ["recipes"], ["scenes"]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
