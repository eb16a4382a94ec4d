"""Train and measure what the end of 18a_models.finetune shows, on a machine that does nothing else:

python results/classify.py FOLDER DISTILLED TUNED STUDENT          the six sets, whose files FOLDER holds
python results/classify.py FOLDER DISTILLED TUNED STUDENT mr cr    these sets alone; the other rows stay

DISTILLED and TUNED are folders of static models, as `distill` and `tune` make them, STUDENT that of a student of
18_models.encoder, all of one teacher and without labels or the test parts of these sets. Each set has the encoder and
the settings that did best on the validation part of fold 0; folds 0 to 2 are measured (SST has one division, which is
trained with three seeds instead), the test part once, by the epoch that the validation part chose. One process and one
thread; seconds are those of the processor. A run that classify.json holds is not repeated. TREC alone was measured
twice: its first settings, as MR's with vectors of 384 numbers, had been worse on validation than SRU on random vectors.
"""

import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch

from sru_nb.basics import write_json
from sru_nb.data.sentences import SETS, fold_indices, read_labelled, tokenize
from sru_nb.models.distill import principal_components
from sru_nb.models.encoder import SentenceEncoder, load_encoder
from sru_nb.models.static import StaticModel
from sru_nb.speed import describe
from sru_nb.text_classifier import TextClassifier

HERE = Path(__file__).resolve().parent
MACHINE = describe(torch.device("cpu")) | {"device": platform.machine(), "threads": 1}
RECIPE = dict(start="tuned", dimensionality=128, learning_rate=2e-3, label_smoothing=0.1, average=0.995, patience=3,
              dropout=0.5, token_vector_dropout=0.5)
TABLE = dict(encoder="none", embedding_rate=0.5, epochs=5)  # token vectors and a head
READER = dict(encoder="sru", hidden_size=64, num_layers=2, embedding_rate=0.25, epochs=8)  # and a new network
WORDS = dict(start="words", dimensionality=192, hidden_size=88, average=0.998, adversarial=1.0, epochs=15, patience=6,
             tokens="cased", tune_embeddings=True, model_options=dict(window=3, rnn_dropout=0.2))
SETTINGS = {"mr": READER | dict(epochs=5), "subj": TABLE, "cr": READER, "mpqa": TABLE | dict(average=0.99, epochs=6),
            "trec": READER | WORDS, "sst-sentences": READER | dict(epochs=6)}
NETWORK = ("encoder", "hidden_size", "num_layers")  # of `SentenceEncoder`


def raw_parts(name: str, folder: Path, fold: int) -> dict[str, tuple[list[str], list[int]]]:
    "The texts of a set as they stand in its files, and their labels, in the folds of the project."
    published, parts = SETS[name], {}
    for part, file in published.files.items():
        examples = read_labelled(folder / file, len(published.labels), "split", published.encoding)
        parts[part] = [" ".join(words) for words in examples.tokens], examples.labels
    texts, labels = parts[next(iter(parts))]
    divided = {part: ([texts[i] for i in rows], [labels[i] for i in rows])
               for part, rows in fold_indices(len(texts), " ".join(parts), fold).items()}
    return {part: divided.get(part) or parts[part] for part in ("train", "valid", "test")}


def begin(settings: dict, models: dict, seed: int) -> SentenceEncoder:
    "The encoder that a classifier begins with."
    start = models[settings["start"]]
    if settings["start"] == "student":
        return start
    torch.manual_seed(seed)
    options = {name: settings[name] for name in NETWORK if name in settings}
    return SentenceEncoder.from_static(unit(start, settings["dimensionality"]), pooling="max", **options)


def word_vectors(settings: dict, static: StaticModel, parts: dict) -> dict[str, np.ndarray]:
    "What the static model makes of single words, with and without capitals."
    words = {word for texts, _ in parts.values() for text in texts for word in tokenize(text, settings["tokens"])}
    words = sorted(words)
    return {word: row for word, row in zip(words, unit(static, settings["dimensionality"]).encode(words)) if row.any()}


def measure(name: str, folder: Path, models: dict, fold: int, seed: int) -> dict:
    "One classifier."
    settings, parts, start = RECIPE | SETTINGS[name], raw_parts(name, folder, fold), time.process_time()
    options = {key: value for key, value in settings.items() if key not in ("start", "dimensionality",
                                                                            "token_vector_dropout")}
    if settings["start"] == "words":
        options["vectors"] = word_vectors(settings, models["distilled"], parts)
    else:
        options = {key: value for key, value in options.items() if key not in NETWORK} | {
            "encoder": begin(settings, models, seed),
            "model_options": {"changes": {"dropout": settings["token_vector_dropout"]}, "scale": 1.0}}
    fitted = TextClassifier(**options, random_state=seed, device="cpu")
    fitted.fit(*parts["train"], *parts["valid"])
    best = max(fitted.history_, key=lambda record: (record["validation_score"], record["minus_validation_loss"]))
    return {"fold": fold, "seed": seed, "valid": round(100 * best["validation_score"], 3), "epoch": best["epoch"],
            "test": round(100 * fitted.score(*parts["test"]), 3),
            "cpu_seconds": round(time.process_time() - start, 1)}


def unit(static: StaticModel, dimensionality: int) -> StaticModel:
    "The static model in its first components, with token vectors whose mean length is 1, as random ones have."
    vectors = principal_components(static.token_vectors(), dimensionality)
    return StaticModel(vectors / vectors.norm(dim=1).mean(), static.tokenizer, normalize=static.normalize,
                       max_length=static.max_length)


def speeds(texts: list[str], **encoders: SentenceEncoder) -> dict:
    "Texts a second of the processor: of `encode`, and of `predict` of a classifier whose encoder is frozen."
    rows = {}
    for name, encoder in encoders.items():
        fitted = TextClassifier(encoder, tune_encoder=False, epochs=1, device="cpu")
        fitted.fit(texts, np.arange(len(texts)) % 2)
        rows[name] = {}
        for what, do in (("encode", fitted.model_.encoder.encode), ("predict", fitted.predict)) * 3:
            start = time.process_time()
            do(texts)
            speed = round(len(texts) / (time.process_time() - start))
            rows[name][what] = max(speed, rows[name].get(what, 0))
    return rows


def main(folder: str, distilled: str, tuned: str, student: str, *names: str):
    torch.set_num_threads(1)
    path, folder = HERE / "classify.json", Path(folder)
    if not folder.is_dir() or set(names) - set(SETTINGS):
        sys.exit(__doc__)
    models = {"distilled": StaticModel.from_pretrained(distilled), "tuned": StaticModel.from_pretrained(tuned),
              "student": load_encoder(student)}
    results = json.loads(path.read_text()) if path.exists() else {}
    sets = results.setdefault("sets", {})
    for name in names or SETTINGS:
        settings = RECIPE | SETTINGS[name]
        runs = sets.get(name, {}).get("runs", []) if sets.get(name, {}).get("settings") == settings else []
        for fold, seed in [(0, 1), (0, 2), (0, 3)] if name == "sst-sentences" else [(0, 1), (1, 1), (2, 1)]:
            if any((run["fold"], run["seed"]) == (fold, seed) for run in runs):
                continue
            runs.append(measure(name, folder, models, fold, seed))
            print(name, runs[-1], flush=True)
            sets[name] = {"settings": settings, "runs": runs} | {
                part: round(float(np.mean([run[part] for run in runs])), 2) for part in ("valid", "test")}
            write_json(path, results | MACHINE)
    texts = raw_parts("mr", folder, 0)["train"][0][:4000]
    results["speeds"] = speeds(texts, static=load_encoder(models["tuned"]), student=models["student"])
    write_json(path, results | MACHINE)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
