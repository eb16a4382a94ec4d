"""The training of 48_distillation, small: killed and resumed, and shared by two processes."""

import os

import pytest
from test_trainer import killed_or_shared

TRAIN = """
import os, signal, sys
from functools import partial
import torch
from sru_nb.data.sentences import text_batches
from sru_nb.data.teacher import gather_texts, split_texts, teacher_vectors, text_ids
from sru_nb.models.distill import Teacher, distill, tune
from sru_nb.models.encoder import SentenceEncoder, agreement, distill_loss
from sru_nb.models.teacher import word_tokenizer
from sru_nb.optim import build_optimizer
from sru_nb.testing import some_text
from sru_nb.trainer import Trainer, build_accelerator

torch.set_num_threads(1)
lines = [" ".join(some_text(seed, 400).split()) for seed in range(4)]
texts = gather_texts([[line[i : i + 9 + i % 40] for line in lines for i in range(0, 300, 7)]], "an example")
own, held = split_texts(texts, 0.3)
tokenizer = word_tokenizer([*own], 1)
table = torch.randn(tokenizer.get_vocab_size(), 6, generator=torch.Generator().manual_seed(0))
teacher = Teacher(lambda ids, mask: (table[ids] * (1 + torch.arange(ids.shape[1]) % 3)[:, None], None), tokenizer,
                  name="order")
shard = dict(rank=int(os.environ.get("RANK", 0)), world_size=int(os.environ.get("WORLD_SIZE", 1)))
kept = partial(teacher_vectors, teacher, folder=sys.argv[1], size=16, progress=False)
targets, wanted = kept(own), kept([*held])
tuned, _ = tune(distill(teacher, texts=own, keep="seen"), own, targets, epochs=1)

def train(run_dir, relational, killed_at=0, resume=False):
    accelerator = build_accelerator("cpu")
    torch.manual_seed(0)
    model = SentenceEncoder.from_static(tuned, hidden_size=8, num_layers=2, dropout=0.2 if relational else 0.0)
    def loss(model, batch, state):
        if trainer.step + 1 == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return distill_loss(model, batch, relational)
    batches = text_batches(*text_ids(model, own, filler=0), targets, 32, 1, **shard)
    optimizer = build_optimizer(model, "adamw", lr=0.01, head=("embedding", "skip"), head_lr_multiple=0.5)
    trainer = Trainer(model, optimizer, loss, batches, run_dir, metric="cosine", mode="max", max_steps=8, eval_every=3,
                      evaluate=lambda m: agreement(m.encode([*held]), wanted, 1000), save_every=2, log_every=1,
                      average=0.9, clip_norm=1.0, tensorboard=False, progress="off", accelerator=accelerator,
                      resume=resume)
    return trainer.fit()

train(sys.argv[1] + "/shared", 0.0)  # similarities are compared within each process's share of a batch
if shard["world_size"] == 1:
    train(sys.argv[1] + "/whole", 1.0)
    child = os.fork()
    if not child:
        train(sys.argv[1] + "/killed", 1.0, killed_at=6)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    train(sys.argv[1] + "/killed", 1.0, resume=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_and_resumed_or_shared_the_training_is_the_same(tmp_path):
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    killed_or_shared(tmp_path, TRAIN, lambda name: 0.02 if name in ("rank", "top10") else 1e-3)
    vectors = [[path.read_bytes() for path in sorted((tmp_path / processes).glob("vectors/*.npy"))]
               for processes in "12"]
    assert vectors[0] == vectors[1] and len(vectors[0]) == 2
