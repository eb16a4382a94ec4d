"""Train the sentence classifiers that 92_tasks compares:

python results/sentences.py FOLDER          SRU, LSTM and CNN on folds 0 to 2 of the six sets, whose files FOLDER holds
python results/sentences.py FOLDER mr trec  only these sets, the other rows stay

Each set is one run of the job 43_sentences, the folds in as many processes as there are cores; then SST once
more, one run at a time and with vectors that stay as they are, as the seconds of the paper's Table 1 are measured.
Writes sentences.json.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from sru_nb.checkpoint import write_json
from sru_nb.speed import describe

HERE = Path(__file__).resolve().parent
RECIPE = dict(compare="lstm,cnn", bidirectional=True, pooling="max", min_count=2, label_smoothing=0.1, average=0.995,
              learning_rate=0.002, embedding_rate=0.25, epochs=10, patience=3, fold="0,1,2", workers=0)
SMALL = dict(embedding_rate=0.1, epochs=20, patience=5)
SETS = {"mr": {}, "subj": {}, "mpqa": {}, "cr": SMALL, "trec": dict(**SMALL, tokens="cased", pooling="last"),
        "sst-sentences": dict(fold="0", repeats=3)}
TIME = dict(compare="lstm,cnn", tune="no", epochs=5, patience=0)


def run(name: str, folder: str, made: Path) -> dict:
    "One run of the job with all its copies: what came of each encoder."
    given = {"corpus": name, **RECIPE, **SETS[name]} if name in SETS else {"corpus": "sst-sentences", **TIME}
    job = [sys.executable, "-m", "papermill", "--no-progress-bar", HERE.parent / "nbs" / "43_sentences.ipynb",
           made / f"{name}.ipynb"]
    parameters = given | {"folder": folder, "run_dir": made / name}
    subprocess.run([str(x) for x in job + [x for pair in parameters.items() for x in ("-p", *pair)]], check=True)
    found = json.loads((made / name / "results.json").read_text())
    print(name, found["encoders"], flush=True)
    return dict(corpus=found["corpus"], given=given, runs=found["runs"], encoders=found["encoders"])


if __name__ == "__main__":
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_dir() or set(sys.argv[2:]) - {*SETS, "time"}:
        sys.exit(__doc__)
    path = HERE / "sentences.json"
    sets = json.loads(path.read_text())["sets"] if path.exists() and sys.argv[2:] else {}
    with tempfile.TemporaryDirectory() as made:
        for name in sys.argv[2:] or [*SETS, "time"]:
            sets[name] = run(name, str(Path(sys.argv[1]).absolute()), Path(made))
            write_json(path, describe(torch.device("cpu")) | dict(sets=sets))
