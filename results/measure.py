"""Measure what README shows: `python results/measure.py [SECONDS]` writes results/cpu.json.

Speed: ratios of medians (of 11 runs, after warm-up) within one run. Language models: the job 40_enwik8 on the embedded
corpus, preset tiny, one run for each unit, SECONDS each (default 90), on a machine that does nothing else.
"""

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from platform import processor

import torch
from torch import nn

from sru_nb import SRU, SRUCell
from sru_nb.checkpoint import write_json
from sru_nb.kernels import cpu
from sru_nb.recurrence import make_case

HERE = Path(__file__).resolve().parent


def median_seconds(function, repeat=11):
    function(), function()
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return sorted(times)[repeat // 2]


def kernel_seconds(call):
    "The time of the kernel that `call` runs, on the memory that it was given: like the copy, without allocation."
    original, found = cpu._run, []
    cpu._run = lambda *arguments: found.append(median_seconds(lambda: original(*arguments)))
    try:
        call()
    finally:
        cpu._run = original
    return found[0]


def inference(layer, x):
    with torch.no_grad():
        layer(x)


def training(layer, x):
    layer(x)[0].sum().backward()


def steps(cell, x, state, count=50):
    with torch.no_grad():
        for _ in range(count):
            cell(x, state)


def machine() -> str:
    "The processor, and how many cores there are."
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else processor()}, {os.cpu_count()} cores"


def speed() -> list[dict]:
    "Ratios of one layer's times, as README lists them."
    rows = []
    case = make_case("plain", 128, 32, 512, torch.float32)
    case = {n: a.detach() if isinstance(a, torch.Tensor) else a for n, a in case.items()}
    h, last, c = cpu.recurrence_forward(**case)
    incoming = torch.randn_like(h), torch.randn_like(last)
    runs = {"forward (6 elements)": (6, lambda: cpu.recurrence_forward(**case)),
            "backward (10 elements)": (10, lambda: cpu.recurrence_backward(*incoming, c, **case))}
    for name, (elements, run) in runs.items():
        source = torch.randn(elements // 2 * h.numel())
        target = torch.empty_like(source)
        ratio = kernel_seconds(run) / median_seconds(lambda: target.copy_(source))
        rows.append(dict(name=f"recurrence alone over a copy, {name}, L=128, B=32", ratio=f"{ratio:.2f}"))
    for L, B, d in ((128, 32, 512), (512, 1, 512)):
        x, sru, lstm = torch.randn(L, B, d, requires_grad=True), SRU(d, d, num_layers=1), nn.LSTM(d, d)
        for name, run in (("inference", inference), ("training step", training)):
            ratio = median_seconds(lambda: run(lstm, x)) / median_seconds(lambda: run(sru, x))
            rows.append(dict(name=f"`nn.LSTM` over `SRU`, {name}, L={L}, B={B}", ratio=f"{ratio:.1f}"))
    x, zero = torch.randn(1, 512), torch.zeros(1, 512)
    lstm, sru = nn.LSTMCell(512, 512), SRUCell(512, 512)
    ratio = median_seconds(lambda: steps(lstm, x, (zero, zero))) / median_seconds(lambda: steps(sru, x, zero))
    rows.append(dict(name="`nn.LSTMCell` over `SRUCell`, one step, B=1", ratio=f"{ratio:.1f}"))
    return rows


def language(seconds: float) -> tuple[list[dict], str]:
    "The job's results for each unit, and the corpus."
    rows = []
    for unit in ("sru", "lstm"):
        with tempfile.TemporaryDirectory() as folder:
            job = [sys.executable, "-m", "papermill", "--no-progress-bar", str(HERE.parent / "nbs" / "40_enwik8.ipynb"),
                   f"{folder}/out.ipynb", "-p", "corpus", "embedded", "-p", "preset", "tiny", "-p", "unit", unit,
                   "-p", "max_seconds", str(seconds), "-p", "run_dir", f"{folder}/run"]
            subprocess.run(job, check=True)
            results = json.loads(Path(folder, "run", "results.json").read_text())
        rows.append(dict(unit=unit, parameters=results["parameter_count"], steps=results["training"]["step"],
                         tokens_per_second=results["tokens_per_second"], **results["metrics"]))
    return rows, results["corpus"]["name"]


if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 90
    torch.set_num_threads(2)
    ratios = speed()
    models, corpus = language(seconds)
    write_json(HERE / "cpu.json", dict(
        date=datetime.date.today().isoformat(), device=machine(), threads=torch.get_num_threads(),
        versions={name: version(name) for name in ("sru_nb", "torch", "numpy", "numba")}, speed=ratios, language=models,
        corpus=corpus, seconds=seconds))
    print((HERE / "cpu.json").read_text())
