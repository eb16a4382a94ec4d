#!/usr/bin/env bash
# torch.optim.swa_utils.AveragedModel with an exponential moving average and use_buffers=True averages integer buffers
# too, and cuts off what is behind the point: a buffer that never changes drifts away from its own value.
#
# Guess before it was run: the average of a constant is that constant, for integers as for floats; at most a counter
#   such as BatchNorm's num_batches_tracked would lag behind.
# Seen (torch 2.13.0): arange(8), never changed, is [0, 1, 2, 2, 4, 5, 5, 6] after 300 updates with either of PyTorch's
#   own averaging functions (multi_avg_fn or avg_fn); without one, when a plain mean is kept, it stays what it was.
#   Nothing warns. Tables of positions or of ids kept as buffers are wrong in the averaged model and in what it saves.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy
"$folder/env/bin/python" - <<'PY'
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn

print("torch", torch.__version__)
ways = {"multi_avg_fn": dict(multi_avg_fn=get_ema_multi_avg_fn(0.9)), "avg_fn": dict(avg_fn=get_ema_avg_fn(0.9)),
        "plain mean": {}}
seen = {}
for name, how in ways.items():
    model = torch.nn.Linear(1, 1)
    model.register_buffer("order", torch.arange(8))  # never changed
    averaged = AveragedModel(model, use_buffers=True, **how)
    for _ in range(300):
        averaged.update_parameters(model)
    seen[name] = averaged.module.order.tolist()
    print(f"{name:12} {seen[name]}")
drifted = [0, 1, 2, 2, 4, 5, 5, 6]
assert seen == {"multi_avg_fn": drifted, "avg_fn": drifted, "plain mean": list(range(8))}, "this has changed"
PY
