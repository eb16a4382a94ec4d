#!/usr/bin/env bash
# torch.optim.Muon's step does not depend on the size of the gradient on paper: the matrix is divided by its norm and made
# orthogonal. In fact a gradient times 1.001 gives a step that differs in its second digit, for float64 weights too.
#
# Guess before it was run: the step is computed in the type of the weights, so the two agree to 1e-6 in float32 and 1e-14 in
#   float64.
# Seen (torch 2.13.0, CPU): all products run in bfloat16, whatever the weights are. Of a (48, 64) matrix every number of the
#   step is one that bfloat16 has, in float64 as well, and 0.1 % more gradient moves a number of it by 0.009, where the
#   largest is 0.36.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy
cd "$folder"
env/bin/python - <<'PY'
import torch

torch.manual_seed(0)
gradient = torch.randn(48, 64, dtype=torch.float64)


def step(scale, dtype):
    weight = torch.nn.Parameter(torch.zeros(48, 64, dtype=dtype))
    weight.grad = (gradient * scale).to(dtype)
    torch.optim.Muon([weight], lr=1.0, weight_decay=0.0, momentum=0.0, nesterov=False).step()
    return -weight.detach()


for dtype in (torch.float32, torch.float64):
    once, again, more = step(1.0, dtype), step(1.0, dtype), step(1.001, dtype)
    assert torch.equal(once, again)
    coarse, moved = torch.equal(once.bfloat16().to(dtype), once), (more - once).abs().max().item()
    print(f"torch {torch.__version__}, {dtype}: only numbers of bfloat16: {coarse}; a gradient times 1.001 moves the step "
          f"by {moved:.4f}, its largest number is {once.abs().max().item():.3f}")
    assert coarse and 1e-3 < moved < 0.1, "the behaviour has changed"
PY
