#!/usr/bin/env bash
# torch.optim.SparseAdam moves a row of an embedding that occurs now and then by up to six times its learning rate a step,
# where Adam, which divides by the size of the gradient, is known to move by about the rate at most.
#
# Guess before it was run: as with torch.optim.Adam, a step is at most about the learning rate; a row that comes every
#   hundredth step moves no further at a time than one that always comes.
# Seen (torch 2.13.0): with equal gradients the row of every step moves by exactly the rate, the row of every hundredth by
#   up to 5.8 times the rate, near its twentieth occurrence; with torch.optim.Adam by 1.0 times. Between occurrences Adam lets both
#   moments fade; SparseAdam leaves them, but corrects their bias by the steps of all rows. So the average of the gradients
#   is soon full, that of their squares counts only as many as came, and is taken for one that is full.
#   Rare words get the larger steps; where the rate was chosen with Adam, they jump.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 numpy
"$folder/env/bin/python" - <<'PY'
import torch

print("torch", torch.__version__)
RATE, EVERY, STEPS = 1e-3, 100, 4000


def largest_moves(kind):
    "The longest step of the row of every step and of the row of every hundredth, in units of the learning rate."
    table = torch.nn.Embedding(2, 1, sparse=kind is torch.optim.SparseAdam)
    optimizer, longest = kind(table.parameters(), lr=RATE), torch.zeros(2)
    for step in range(1, STEPS + 1):
        before = table.weight.detach().clone()
        optimizer.zero_grad()
        table(torch.tensor([0, 1] if step % EVERY == 0 else [0])).sum().backward()  # a gradient of 1
        optimizer.step()
        if step % EVERY == 0:
            longest = torch.maximum(longest, (table.weight.detach() - before).abs().flatten() / RATE)
    return [round(x, 1) for x in longest.tolist()]


seen = {kind.__name__: largest_moves(kind) for kind in (torch.optim.Adam, torch.optim.SparseAdam)}
for name, moves in seen.items():
    print(f"{name:10} every step: {moves[0]} of the rate, every hundredth: {moves[1]}")
assert seen["Adam"] == [1.0, 1.0] and seen["SparseAdam"][0] == 1.0 and seen["SparseAdam"][1] > 5, "this has changed"
PY
