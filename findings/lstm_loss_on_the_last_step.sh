#!/usr/bin/env bash
# PyTorch's nn.LSTM on a CPU: a training step whose loss looks at the last output alone takes many times as long as one whose
# loss looks at all outputs, though it has fewer gradients that are not zero. What is sent back through some hundred steps
# becomes subnormal, and an x86 processor multiplies such numbers slowly, in all matrix products of the way back.
#
# Guess before it was run: slower, but by less than twice, as only the few steps in which the gradient dies out are concerned.
# Seen (torch 2.13.0, x86-64): 256 steps, 32 sequences, 256 units, one layer, two threads: all outputs 0.1 to 0.2 s, the last
#   one 2 to 4 s. torch.set_flush_denormal(True) before the first operation with threads brings it back; after it, it holds
#   for the calling thread alone and gains less.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy
cd "$folder"
cat > step.py <<'PY'
import statistics
import sys
import time

import torch

when = sys.argv[1]
if when == "flush first":
    torch.set_flush_denormal(True)
torch.set_num_threads(2)
torch.manual_seed(0)
model, x = torch.nn.LSTM(256, 256), torch.randn(256, 32, 256)
model(x)[0].sum().backward()  # the threads exist now
if when == "flush later":
    torch.set_flush_denormal(True)


def seconds(part):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        part(model(x)[0]).square().mean().backward()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


print(seconds(lambda h: h), seconds(lambda h: h[-1]))
PY
ratio() {
    env/bin/python step.py "$1" | { read -r all last; printf '%-12s all outputs %.2f s, the last one %.2f s\n' "$1" "$all" "$last" >&2
        python3 -c "print($last / $all)"; }
}
plain=$(ratio "as it is"); later=$(ratio "flush later"); first=$(ratio "flush first")
python3 - "$plain" "$later" "$first" <<'PY'
import sys

plain, later, first = map(float, sys.argv[1:])
print(f"the last output over all: {plain:.1f} as it is, {later:.1f} flushed later, {first:.1f} flushed first")
sys.exit(not (plain > 4 and first < 2))
PY
