#!/usr/bin/env bash
# A function compiled by numba that does nothing but call another compiled function is not a call: it contains the whole
# of what it calls, and optimises it once more. So every level of calls above a large kernel adds to its first call.
#
# Guess before it was run: a level adds the time to compile one line, and its code has a call in the place of the body.
# Seen (numba 0.68.1, llvmlite and numpy as pinned, x86-64): the code of each of four levels has all 40 divisions of the
#   kernel below; the first call takes 1.2 to 1.9 times as long through four levels as without them, on a busy machine (the
#   time is printed, not checked). In a real kernel one level more made a first call of 14 s one of 18 s.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6 llvmlite==0.50.0
cd "$folder"
env/bin/python - <<'PY'
import statistics
import time

import numba
import numpy as np

BODY = "\n".join(f"        a[i] = a[i] * {k + 2}.0 + np.sqrt(a[(i + {k}) % n]) / (1.0 + a[i] * a[i])" for k in range(40))


def levels(depth):
    "A kernel of 40 divisions, and `depth` functions above it, each of which calls the one below."
    space = {"np": np}
    exec(f"def level_0(a):\n    n = a.shape[0]\n    for i in range(n):\n{BODY}\n", space)
    space["level_0"] = numba.njit(space["level_0"])
    for i in range(depth):
        exec(f"def level_{i + 1}(a):\n    level_{i}(a)\n", space)
        space[f"level_{i + 1}"] = numba.njit(space[f"level_{i + 1}"])
    return [space[f"level_{i}"] for i in range(depth + 1)]


def first_call(depth):
    "Seconds of processor time, and the divisions in the code of each level."
    functions, start = levels(depth), time.process_time()
    functions[-1](np.ones(8))
    return time.process_time() - start, [next(iter(f.inspect_llvm().values())).count(" fdiv ") for f in functions]


first_call(1)
turns = [[first_call(depth)[0] for depth in (0, 4)] for _ in range(5)]
seconds = [statistics.median(column) for column in zip(*turns)]
divisions = first_call(4)[1]
print(f"numba {numba.__version__}, numpy {np.__version__}")
print("divisions in the code of the kernel and of the four levels above it:", divisions)
print(f"first call without levels {seconds[0]:.2f} s, through four {seconds[1]:.2f} s")
assert divisions == [40] * 5, divisions
PY
