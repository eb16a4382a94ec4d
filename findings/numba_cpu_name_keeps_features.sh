#!/usr/bin/env bash
# numba 0.68.1: NUMBA_CPU_NAME alone does not keep a kernel to the instructions of that CPU.
#
# A kernel that is to run on older machines, or to be tested as they run it, is compiled for a CPU by name.
# Guess before it was run: under NUMBA_CPU_NAME=nehalem, a CPU of 2008 without AVX, the machine code has no AVX.
# Seen: it has all instructions of the CPU at hand, fused multiply-adds on vectors of 32 or 64 bytes: the features of the
#   host are added to those of the name. Only `generic` drops them, or NUMBA_CPU_FEATURES set to nothing, which is not the
#   same as not set: NUMBA_CPU_NAME=nehalem NUMBA_CPU_FEATURES= gives vectors of 16 bytes.
# Needs an x86 CPU with AVX2.
set -euo pipefail
grep -qw avx2 /proc/cpuinfo || { echo "this CPU has no AVX2"; exit 2; }
unset NUMBA_CPU_NAME NUMBA_CPU_FEATURES
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet numba==0.68.1
cat > "$folder/kernel.py" <<'PYTHON'
import re

import numba
import numpy as np


@numba.njit(fastmath=True)
def add(x, y):
    for i in range(len(x)):
        y[i] += x[i] * x[i]


x = np.ones(64, np.float32)
add(x, x.copy())
code, = add.inspect_asm().values()
wide = max((size for name, size in (("xmm", 16), ("ymm", 32), ("zmm", 64)) if "%" + name in code))
print(wide, len(re.findall("vfn?madd", code)) > 0)
PYTHON
look() { env "$@" "$folder/env/bin/python" "$folder/kernel.py"; }
here=$(look A=) named=$(look NUMBA_CPU_NAME=nehalem) generic=$(look NUMBA_CPU_NAME=generic)
empty=$(look NUMBA_CPU_NAME=nehalem NUMBA_CPU_FEATURES=)
printf 'bytes of the widest register, fused multiply-add: here %s, nehalem %s, generic %s, nehalem without features %s\n' \
    "$here" "$named" "$generic" "$empty"
[ "$named" = "$here" ] && [ "$named" != "16 False" ] && [ "$generic" = "16 False" ] && [ "$empty" = "16 False" ]
