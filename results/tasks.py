"""Train what 92_tasks compares, on a machine that does nothing else:

python results/tasks.py sentences FOLDER             SRU, LSTM and CNN on the six sets, whose files FOLDER holds
python results/tasks.py sentences FOLDER mr trec     only these sets; the other rows of the table stay
python results/tasks.py reading TRAIN VALID EPOCHS   SRU and LSTM as readers, on two files in SQuAD's format
python results/tasks.py preparing TRAIN              seconds and memory to prepare such a file, and ten times as much

`sentences` runs the job 43_sentences once for each set, folds 0 to 2 in as many processes as there are cores; TREC's
other folds for SRU and LSTM alone ("trec-rest"); then on SST once more, one run at a time and with vectors that stay
as they are, as the seconds of the paper's Table 1 were measured ("time"; the seconds of each epoch after the first).
`reading` runs the job 44_squad once for each encoder. `preparing` makes a file of ten copies, each passage a little
different. They write sentences.json, reading.json and preparing.json. Runs are kept in runs/tasks until their results
are written: after a crash the same command goes on.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from sru_nb.basics import write_json
from sru_nb.speed import describe
from sru_nb.trainer import history

HERE = Path(__file__).resolve().parent
RUNS = HERE.parent / "runs" / "tasks"
RECIPE = dict(compare="lstm,cnn", num_layers=4, exact_size=False, bidirectional=True, rnn_dropout=0.2, pooling="max",
              min_count=2, label_smoothing=0.1, average=0.995, learning_rate=0.002, embedding_rate=0.25, epochs=10,
              patience=3, fold="0,1,2", workers=0)
LONG = dict(average=0.998, epochs=30, patience=10)  # for few sentences
PAPER = dict(num_layers=2, exact_size=True, rnn_dropout=-1.0)  # its sizes
SETS = {"mr": dict(adversarial=1.0, epochs=9, patience=5, repeats=2), "subj": PAPER, "mpqa": PAPER,
        "cr": LONG | dict(num_layers=2, hidden_size=184, adversarial=2.0),
        "trec": LONG | dict(adversarial=1.0, tokens="cased", window=3, hidden_size=88, epochs=20, repeats=3),
        "sst-sentences": dict(fold="0", repeats=3)}
SETS["trec-rest"] = SETS["trec"] | dict(corpus="trec", compare="lstm", fold="3,4,5,6,7,8,9", repeats=1)
TIME = dict(compare="lstm,cnn", tune="no", epochs=8, patience=0)


def run(notebook: str, parameters: dict, run_dir: Path) -> dict:
    "One run of a job, or the rest of one: its results."
    command = [sys.executable, "-m", "sru_nb.run", HERE.parent / "nbs" / f"{notebook}.ipynb",
               run_dir.with_suffix(".ipynb"), "--resume"]
    command += [part for pair in (parameters | {"run_dir": run_dir}).items() for part in ("-p", *pair)]
    subprocess.run([str(part) for part in command], check=True)
    return json.loads((run_dir / "results.json").read_text())


def keep(path: Path, *run_dirs: Path, **rows):
    "Write what was measured, with the machine that did it; only then remove the runs."
    write_json(path, describe(torch.device("cpu")) | rows)
    for run_dir in run_dirs:
        shutil.rmtree(run_dir)
        run_dir.with_suffix(".ipynb").unlink()


def sentences(folder: str, *names: str):
    path, known = HERE / "sentences.json", [*SETS, "time"]
    if not Path(folder).is_dir() or set(names) - set(known):
        sys.exit(__doc__)
    sets = json.loads(path.read_text())["sets"] if path.exists() and names else {}
    for name in names or known:
        settings = {"corpus": name, **RECIPE, **SETS[name]} if name in SETS else {"corpus": "sst-sentences", **TIME}
        results = run("43_sentences", settings | {"folder": Path(folder).absolute()}, RUNS / name)
        sets[name] = dict(settings=settings) | {key: results[key] for key in ("corpus", "runs", "encoders")}
        if name == "time":  # the first epoch also loads the kernels
            runs = {"sru": "", "lstm": "sweep/lstm-fold0-seed1", "cnn": "sweep/cnn-fold0-seed1"}
            sets[name]["epoch_seconds"] = {unit: [round(float(seconds), 3) for seconds in np.diff(
                history(RUNS / name / where)["valid"]["seconds"])] for unit, where in runs.items()}
        keep(path, RUNS / name, sets=sets)


def reading(train: str, valid: str, epochs: str):
    files, readers = [str(Path(name).absolute()) for name in (train, valid)], {}
    for encoder in ("sru", "lstm"):
        settings, run_dir = dict(encoder=encoder, epochs=int(epochs)), RUNS / f"reading-{encoder}"
        results = run("44_squad", settings | {"corpus": ",".join(files)}, run_dir)
        lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
        readers[encoder] = dict(settings=settings, f1_of_epochs=[
            round(line["f1"], 2) for line in lines if line["kind"] == "valid"]) | {key: results[key] for key in (
                "corpus", "metrics", "network_parameters", "encoder_parameters", "seconds_an_epoch", "groups")}
        keep(HERE / "reading.json", run_dir, readers=readers)


PREPARE = """
import json, sys, time
from sru_nb.data.squad import open_squad, prepare

def megabytes():  # getrusage would count the parent's before this program began
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

before, began = megabytes(), time.monotonic()
prepare(open_squad(sys.argv[1]))
print(json.dumps(dict(seconds=time.monotonic() - began, peak_megabytes=megabytes(), before_megabytes=before)))
"""


def preparing(train: str):
    once, rows = json.loads(Path(train).read_text()), []
    with tempfile.TemporaryDirectory() as folder:
        for copies in (1, 1, 10):  # the first makes the caches of the modules warm
            articles = []
            for copy in range(copies):
                articles += json.loads(json.dumps(once["data"]))
                for passage in (p for article in articles[-len(once["data"]):] for p in article["paragraphs"]):
                    passage["context"] += f" Copy {copy}."
                    for question in passage["qas"]:
                        question["id"] += f"-{copy}"
            path = Path(folder) / f"{len(rows)}.json"
            path.write_text(json.dumps(once | {"data": articles}))
            done = subprocess.run([sys.executable, "-c", PREPARE, path], check=True, capture_output=True, text=True,
                                  env=os.environ | {"SRU_NB_CACHE": f"{folder}/cache{len(rows)}"})
            measured = json.loads(done.stdout.splitlines()[-1])
            rows.append(dict(copies=copies, megabytes=path.stat().st_size / 1e6) | measured)
    keep(HERE / "preparing.json", rows=rows[1:])


TASKS = {"sentences": sentences, "reading": reading, "preparing": preparing}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in TASKS:
        sys.exit(__doc__)
    TASKS[sys.argv[1]](*sys.argv[2:])
