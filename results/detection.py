"""Boxes at equal parameters and equal seconds: results/detection.json, which nbs/93_vision.ipynb draws.

python results/detection.py trials BCCD SECONDS             what decided the recipe, on blood cells
python results/detection.py cells BCCD UNIT SECONDS [SAVE]  blood cells at 240 x 320
python results/detection.py scenes UNIT SECONDS [SAVE]      digits over photographs, with their test part
python results/detection.py check NAME SAVE                 the figures of saved boxes beside pycocotools'

BCCD is the folder of the blood cells; SAVE takes the best weights, and what they find in the validation part, in COCO's
form. A training has one thread and SECONDS of the processor's time, over which the learning rate falls; measuring is
not counted. Every figure of the blood cells is one of the validation part: of a test part nothing is read. What is in
the file already is not trained again.
"""

import json
import math
import platform
import sys
import time
from pathlib import Path

import torch

from sru_nb.basics import write_json
from sru_nb.data.augment import Augment
from sru_nb.data.dense import DenseBatches, load_boxes
from sru_nb.job import keep_memory
from sru_nb.metrics import coco_detections, coco_figures, coco_truth, detection_figures
from sru_nb.models.detector import Detector, detector_loss, predict_boxes
from sru_nb.models.vision import with_unit
from sru_nb.optim import build_optimizer
from sru_nb.trainer import AveragedWeights

FILE = Path(__file__).with_name("detection.json")
CELLS = dict(size=(240, 320), batch=8, measures=12, augment=dict(
    size=(240, 320), flip=True, flip_down=True, scale_low=0.7, scale_high=1.4))
SCENES = dict(size=None, batch=8, augment=dict(scale_low=0.7, scale_high=1.4))
TRIALS = {
    "as it is": {},
    "AdamW alone": dict(optimizer="adamw"),
    "without other scales": dict(augment=CELLS["augment"] | dict(scale_low=1.0, scale_high=1.0)),
    "turned by any angle": dict(augment=CELLS["augment"] | dict(rotate=180.0)),
    "Muon's rate 0.04": dict(matrix_rate=0.04),
}
RECIPE = dict(optimizer="muon", matrix_rate=0.02, rate=3e-3, decay=0.05, warmup=0.05, clip=5.0, average=0.98)


def build(data, unit, **arguments):
    """A detector of a unit, as large as one of SRU."""
    mean, std = data.statistics()
    arguments = with_unit(dict(num_classes=len(data.classes), mean=mean, std=std) | arguments, unit, Detector)
    return Detector(**arguments)


def optimizer_of(model, recipe):
    """Muon for the matrices of scans, AdamW for the head's and for all that is no matrix; or AdamW alone."""
    if recipe["optimizer"] == "adamw":
        return build_optimizer(model, "adamw", lr=recipe["rate"], weight_decay=recipe["decay"])
    return build_optimizer(model, "muon", lr=recipe["matrix_rate"], adamw_lr=recipe["rate"],
                           weight_decay=recipe["decay"], head=["heat", "sides"])


def measure(model, images, size, save=""):
    """COCO's figures; the boxes, in the pixels of the files, are saved if that is asked for."""
    batches = DenseBatches(images, 16, augment=Augment(size=size or 0))
    detections = list(predict_boxes(model, batches, images.sizes).values())
    truth = [images.truth(i)[1] for i in range(len(images))]
    if save:
        names = [Path(images.name(i)).name for i in range(len(images))]
        write_json(Path(save) / "truth.json", coco_truth(truth, images.classes, names, images.sizes))
        write_json(Path(save) / "detections.json", coco_detections(detections))
    return detection_figures(truth, detections, images.classes)


def train(data, unit, seconds, size, batch, augment, save="", seed=1, measures=4, **changes):
    """One run: what it is, and the figures of the validation part after each part of its time."""
    torch.manual_seed(seed)
    recipe = RECIPE | {name: value for name, value in changes.items() if name in RECIPE}
    model = build(data, unit, **{name: value for name, value in changes.items() if name not in RECIPE})
    batches = DenseBatches(data.parts["train"], batch, seed, Augment(**augment))
    optimizer, averaged = optimizer_of(model, recipe), AveragedWeights(model, recipe["average"])
    rates = [group["lr"] for group in optimizer.param_groups]
    first = next(iter(DenseBatches(data.parts["train"], 2, augment=Augment(size=size or 0))))
    detector_loss(model.train(), first)[0].backward()  # kernels are loaded before the clock runs
    done, curve, steps, best = 0.0, [], 0, -1.0
    start = time.process_time()
    while done < seconds:
        for pictures in batches:
            part = min(done / seconds, 1)
            factor = part / recipe["warmup"] if part < recipe["warmup"] else (
                1 + math.cos(math.pi * (part - recipe["warmup"]) / (1 - recipe["warmup"]))) / 2
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * max(factor, 0.005)
            optimizer.zero_grad()
            detector_loss(model, pictures)[0].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["clip"])
            optimizer.step()
            averaged.update(model)
            steps += 1
            before, done = done, time.process_time() - start
            if int(measures * done / seconds) > int(measures * before / seconds):
                paused = time.process_time()
                figures = measure(averaged.module, data.parts["valid"], size)
                curve.append({"seconds": round(done, 1), "epoch": round(steps / len(batches), 2)} | figures)
                shown = {name: curve[-1][name] for name in ("seconds", "epoch", "AP", "AP50", "classes")}
                print(unit, seed, shown, flush=True)
                if save and figures["AP"] > best:
                    best = figures["AP"]
                    averaged.module.save_pretrained(save, {"classes": data.classes, "size": size})
                    measure(averaged.module, data.parts["valid"], size, save)
                start += time.process_time() - paused
            if done >= seconds:
                break
    row = {"unit": unit, "seed": seed, "seconds": seconds, "parameters": sum(p.numel() for p in model.parameters()),
           "epochs": curve[-1]["epoch"], "steps": steps, "recipe": recipe, "augment": augment, "curve": curve}
    if "test" in data.parts and data.name == "scenes":
        row["test"] = measure(averaged.module, data.parts["test"], size)
    return row


def check(folder):
    """The figures of saved boxes beside those of pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    truth, boxes = (json.loads((Path(folder) / f"{name}.json").read_text()) for name in ("truth", "detections"))
    figures = coco_figures(truth, boxes)
    reference = COCO(str(Path(folder) / "truth.json"))
    measured = COCOeval(reference, reference.loadRes(boxes), "bbox")
    measured.evaluate(), measured.accumulate(), measured.summarize()
    pairs = [(value, 100 * other) for value, other in zip(figures.values(), measured.stats) if value is not None]
    tables = measured.eval["precision"][:, :, :, 0, -1]
    pairs += [(value, 100 * tables[:, :, k].mean()) for k, value in enumerate(figures["classes"].values())
              if value is not None]
    return {"pictures": len(truth["images"]), "boxes": len(truth["annotations"]), "found": len(boxes),
            "figures": figures, "difference": max(abs(value - other) for value, other in pairs)}


def read():
    kinds = "trials", "cells", "scenes", "check"
    return json.loads(FILE.read_text()) if FILE.exists() else {kind: [] for kind in kinds}


def add(kind, row):
    found = read()  # another process may have written
    found[kind].append(row | {"device": platform.processor() or platform.machine(), "threads": 1})
    write_json(FILE, found)


def main(kind, *words):
    keep_memory()
    torch.set_num_threads(1)
    if kind == "check":
        return add(kind, {"name": words[0]} | check(words[1]))
    cells = kind in ("trials", "cells")
    data = load_boxes(words[0], bad_boxes="drop") if cells else load_boxes("scenes")
    words, settings = (words[1:], CELLS) if cells else (words, SCENES)
    unit, seconds, *save = ("sru", *words) if kind == "trials" else words
    for name, changes in (TRIALS if kind == "trials" else {"": {}}).items():
        if (unit, float(seconds), name) not in [(row["unit"], row["seconds"], row["name"]) for row in read()[kind]]:
            row = train(data, unit, float(seconds), **settings | dict(save=save[0] if save else "") | changes)
            add(kind, {"name": name} | row)


if __name__ == "__main__":
    if sys.argv[1:2] not in (["trials"], ["cells"], ["scenes"], ["check"]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
