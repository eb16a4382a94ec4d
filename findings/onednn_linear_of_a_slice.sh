#!/usr/bin/env bash
# PyTorch's operation for oneDNN's linear layer, which compiled graphs call, takes a weight that is a slice of a wider matrix
# and computes the right numbers, more than a thousand times as slowly as with a copy of the same slice.
#
# Guess before it was run: oneDNN copies what it cannot read, as the default engine's product of the same slice does, at the
#   cost of one pass over it; at worst a stride of 0 is an error.
# Seen (torch 2.13.0, x86-64): (128, 128) by (128, 128), the copy in some 0.05 ms, the slice in 80 to 120 ms, equal results.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy
cd "$folder"
env/bin/python - <<'PY'
import time

import torch


torch.set_num_threads(1)  # a second one may be kept waiting by other programs


def shortest(function):
    times = []
    for _ in range(20):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times[1:]), result


torch.manual_seed(0)
a, piece = torch.randn(128, 128), torch.randn(128, 256)[:, :128]
times = {}
for name, weight in dict(slice=piece, copy=piece.contiguous()).items():
    times[name], y = shortest(lambda: torch.ops.mkldnn._linear_pointwise(a, weight, None, "none", [], ""))
    assert torch.allclose(y, a @ weight.t(), atol=1e-4), name
default, _ = shortest(lambda: a @ piece.t())
print(f"torch {torch.__version__}: slice {1e3 * times['slice']:.2f} ms, its copy {1e3 * times['copy']:.3f} ms, "
      f"the default engine's product of the slice {1e3 * default:.3f} ms")
raise SystemExit(0 if times["slice"] > 30 * times["copy"] else 1)
PY
