"""The training of 46_segmentation, small: killed and resumed, and shared by two processes."""

import os

import pytest
import torch
from test_trainer import killed_or_shared

from sru_nb.checkpoint import load_matching
from sru_nb.models.segmenter import Segmenter
from sru_nb.models.vision import PRESETS, ImageClassifier

TRAIN = """
import os, signal, sys
from functools import partial
import torch
from sru_nb.data.augment import Augment
from sru_nb.data.dense import DenseBatches, load_masks
from sru_nb.metrics import segmentation_figures
from sru_nb.models.segmenter import Segmenter, segmentation_matrix, segmenter_loss, weigh_classes
from sru_nb.optim import build_optimizer
from sru_nb.trainer import Trainer, build_accelerator

data = load_masks("scenes", train_count=10, valid_count=5, test_count=1, size=48)
shard = dict(rank=int(os.environ.get("RANK", 0)), world_size=int(os.environ.get("WORLD_SIZE", 1)))
weights = weigh_classes(data.parts["train"].counts())

def train(run_dir, optimizer="muon", killed_at=0, resume=False):
    accelerator = build_accelerator("cpu")
    torch.manual_seed(0)
    model = Segmenter(11, widths=(8, 12), depths=(2, 2), width=8, edge=6, auxiliary=True)
    def loss(model, batch, state):
        if trainer.step + 1 == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return segmenter_loss(model, batch, state, weights, auxiliary=0.4)
    def evaluate(model):
        matrix = segmentation_matrix(model, DenseBatches(data.parts["valid"], 2, **shard),
                                     total=trainer.sum_over_processes)
        figures = segmentation_figures(matrix, data.classes)
        return {"miou": figures["miou"], "pixels": float(matrix.sum())}
    augment = Augment(crop=40, scale_low=0.5, scale_high=2.0, rotate=10.0, flip=True, colour=0.3, erase=0.5)
    rates = dict(lr=0.02, adamw_lr=0.003) if optimizer == "muon" else dict(lr=0.003)
    trainer = Trainer(model, build_optimizer(model, optimizer, weight_decay=0.05, **rates), loss,
                      DenseBatches(data.parts["train"], 4, 1, augment, **shard), run_dir, evaluate=evaluate,
                      metric="miou", mode="max", max_steps=8, eval_every=3, save_every=2, log_every=1, average=0.9,
                      clip_norm=1.0, tensorboard=False, progress="off", accelerator=accelerator, resume=resume)
    return trainer.fit()

torch.set_num_threads(1)
train(sys.argv[1] + "/shared", "adamw")  # Muon makes a full step of what is but rounding
if shard["world_size"] == 1:
    train(sys.argv[1] + "/whole")
    child = os.fork()
    if not child:
        train(sys.argv[1] + "/killed", killed_at=6)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    train(sys.argv[1] + "/killed", resume=True)
    print(sum(data.parts["valid"].counts()), "pixels have a label")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_and_resumed_or_shared_the_training_is_the_same(tmp_path):
    # where two answers are near, one may change
    said, two = killed_or_shared(tmp_path, TRAIN, lambda name: 0.01 if name == "miou" else 1e-4)
    pixels = int(said["1"].split(" pixels have")[0].split()[-1])
    assert [line["pixels"] for line in two if line["kind"] == "valid"] == [pixels] * 3


def test_a_recognition_gives_the_first_weights_of_all_stages(tmp_path):
    recognition, model = ImageClassifier(5, 3, **PRESETS["dense-tiny"]), Segmenter(11, **PRESETS["dense-tiny"])
    recognition.save_pretrained(tmp_path)
    left = load_matching(tmp_path, model.pyramid.backbone)
    assert [line.split(":")[0] for line in left] == ["head.bias", "head.weight", "norm.bias", "norm.weight"]
    own = recognition.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in model.pyramid.backbone.state_dict().items())
