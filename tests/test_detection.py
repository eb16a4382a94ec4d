"""The training of 47_detection, small: killed and resumed, and shared by two processes."""

import os

import pytest
from test_trainer import killed_or_shared

TRAIN = """
import os, signal, sys
import torch
from accelerate.utils import gather_object
from sru_nb.data.augment import Augment
from sru_nb.data.dense import DenseBatches, load_boxes
from sru_nb.metrics import detection_figures
from sru_nb.models.detector import Detector, detector_loss, predict_boxes
from sru_nb.optim import build_optimizer
from sru_nb.trainer import Trainer, build_accelerator

data = load_boxes("scenes", train_count=10, valid_count=5, test_count=1, size=48)
shard = dict(rank=int(os.environ.get("RANK", 0)), world_size=int(os.environ.get("WORLD_SIZE", 1)))

def train(run_dir, optimizer="muon", killed_at=0, resume=False):
    accelerator = build_accelerator("cpu")
    torch.manual_seed(0)
    model = Detector(10, widths=(8, 12), depths=(2, 2), width=8)
    def loss(model, batch, state):
        if trainer.step + 1 == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return detector_loss(model, batch, state)
    def evaluate(model):
        found = predict_boxes(model, DenseBatches(data.parts["valid"], 2, **shard), gather=gather_object)
        truth = [data.parts["valid"].truth(i)[1] for i in found]
        figures = detection_figures(truth, list(found.values()), data.classes)
        scores = [rows[:, 4].max().item() for rows in found.values()]
        return {"AP": figures["AP"], "pictures": len(found)} | {f"score_{i}": s for i, s in enumerate(scores)}
    augment = Augment(scale_low=0.7, scale_high=1.4, rotate=10.0, flip=True, colour=0.3)
    rates = dict(lr=0.02, adamw_lr=0.003) if optimizer == "muon" else dict(lr=0.003)
    optimizer = build_optimizer(model, optimizer, weight_decay=0.05, head=("heat", "sides"), **rates)
    trainer = Trainer(model, optimizer, loss, DenseBatches(data.parts["train"], 4, 1, augment, **shard), run_dir,
                      evaluate=evaluate, metric="AP", mode="max", max_steps=8, eval_every=3, save_every=2, log_every=1,
                      average=0.9, clip_norm=1.0, tensorboard=False, progress="off", accelerator=accelerator,
                      resume=resume)
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
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_and_resumed_or_shared_the_training_is_the_same(tmp_path):
    _, two = killed_or_shared(tmp_path, TRAIN, lambda name: 1e-4, without=("AP",))  # AP is 0 or nearly so
    assert [line["pictures"] for line in two if line["kind"] == "valid"] == [5] * 3
