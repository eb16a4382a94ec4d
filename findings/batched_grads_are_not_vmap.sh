#!/usr/bin/env bash
# torch.autograd.grad(..., is_grads_batched=True) is documented as "vmap" over the gradients. It is not the vmap of
# torch.func: an operation's rule for vmap (torch.library's register_vmap) is not asked, and nothing says that one is mapped.
#
# Guess before it was run: the rule is called once, as under torch.func.vmap, and torch.func's check for active transforms
#   says yes in a Python Function's backward pass.
# Seen (torch 2.13.0, CPU): the rule is never called and the operation once for each gradient, on tensors of one gradient's
#   shape; in the backward pass the gradient has no memory (data_ptr raises), and no transform is active.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy
cd "$folder"
env/bin/python - <<'PY'
import torch

calls = {"operation": 0, "rule": 0}


@torch.library.custom_op("finding::double", mutates_args=())
def double(a: torch.Tensor) -> torch.Tensor:
    calls["operation"] += 1
    return 2 * a


@double.register_vmap
def _(info, in_dims, a):
    calls["rule"] += 1
    return double(a), in_dims[0]


seen = {}


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return 2 * a

    @staticmethod
    def backward(ctx, grad):
        seen["shape"], seen["active"] = tuple(grad.shape), torch._C._are_functorch_transforms_active()
        try:
            seen["memory"] = bool(grad.data_ptr())
        except RuntimeError:
            seen["memory"] = False
        return double(grad)


torch.func.vmap(double)(torch.ones(3, 4))
mapped = dict(calls)
calls.update(operation=0, rule=0)
a = torch.ones(4, requires_grad=True)
grads = torch.autograd.grad(Doubled.apply(a), a, torch.ones(3, 4), is_grads_batched=True)[0]
assert torch.equal(grads, torch.full((3, 4), 2.0))
print(f"torch {torch.__version__}: torch.func.vmap over 3: rule {mapped['rule']}, operation {mapped['operation']}; "
      f"is_grads_batched with 3: rule {calls['rule']}, operation {calls['operation']}; in the backward pass {seen}")
assert mapped == {"operation": 1, "rule": 1} and calls == {"operation": 3, "rule": 0}, "the behaviour has changed"
assert seen == {"shape": (4,), "active": False, "memory": False}, "the behaviour has changed"
PY
