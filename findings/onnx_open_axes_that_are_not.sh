#!/usr/bin/env bash
# torch.onnx.export, asked for two open axes, writes a file that declares both open and holds for the example's sizes only,
# if the module's own code spells those sizes out.
#
# Guess before it was run: an error, as torch.export gives one for the same module and the same Dims, or a warning and axes
#   of a fixed size in the file.
# Seen (torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.31.1): torch.export.export refuses it. The exporter
#   falls back to another way of tracing and succeeds; the file's input is [L, B, 5], ONNX Runtime loads it, agrees for
#   (7, 3), and fails for every other shape.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.31.1
cd "$folder"
env/bin/python - 2>/dev/null <<'PY'
import onnxruntime
import torch
from torch.export import Dim


class Flat(torch.nn.Module):
    def forward(self, x):  # (L, B, 5)
        return x.view(7, 3, -1).relu()


x, axes = torch.randn(7, 3, 5), {0: Dim("L"), 1: Dim("B")}
try:
    torch.export.export(Flat(), (x,), dynamic_shapes=(axes,))
    refused = False
except Exception as error:
    refused = True
    print("torch.export:", type(error).__name__)
torch.onnx.export(Flat(), (x,), "flat.onnx", dynamo=True, dynamic_shapes=(axes,), verbose=False)
session = onnxruntime.InferenceSession("flat.onnx")
declared = session.get_inputs()[0].shape
print("declared:", declared)
session.run(None, {"x": x.numpy()})
try:
    session.run(None, {"x": torch.randn(6, 4, 5).numpy()})
    failed = False
except Exception as error:
    failed = True
    print("at (6, 4, 5):", type(error).__name__)
assert refused and declared == ["L", "B", 5] and failed, "this has changed"
PY
