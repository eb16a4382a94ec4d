#!/usr/bin/env bash
# The tests of the kernels, the operation, the layers and the trainer on other versions of Python and PyTorch.
#   tests/versions.sh                    every pair below; some gigabytes each, and minutes
#   tests/versions.sh 3.11:2.6.0 …       these pairs only
# Each pair gets an environment of its own below VERSIONS_HOME, which stays for the next time. What passed, what was
# left out and what failed is written to results/versions.json, from which the README's table is made.
set -euo pipefail
cd "$(dirname "$0")/.."
PAIRS=("$@")
[ ${#PAIRS[@]} -gt 0 ] || PAIRS=(3.10:2.6.0 3.11:2.6.0 3.11:2.8.0 3.11:2.11.0 3.11:2.13.0 3.11:2.14.1 3.13:2.13.0)
TESTS=(kernels_cpu op matmul sru srupp original trainer)
FILES=("${TESTS[@]/#/tests/test_}")
FILES=("${FILES[@]/%/.py}")
HOME_OF_ALL=${VERSIONS_HOME:-${TMPDIR:-/tmp}/sru_nb-versions}
export OMP_WAIT_POLICY=passive PYTHONPATH=$PWD
failed=0
for pair in "${PAIRS[@]}"; do
    python=${pair%%:*} torch=${pair##*:}
    env=$HOME_OF_ALL/$python-$torch
    if [ ! -f "$env/ready" ]; then
        rm -rf "$env"
        "python$python" -m venv "$env"
        "$env/bin/python" -m pip install --quiet --disable-pip-version-check "torch==$torch" \
            numpy numba safetensors filelock accelerate tensorboard pytest pytest-xdist scikit-learn
        touch "$env/ready"
    fi
    report=$env/report.xml
    "$env/bin/python" -m pytest -q -n "${WORKERS:-2}" --dist worksteal --junitxml "$report" -p no:cacheprovider \
        "${FILES[@]}" || failed=1
    "$env/bin/python" - "$report" results/versions.json "${TESTS[@]}" <<'PYTHON'
import importlib.metadata, json, platform, sys
from pathlib import Path
from xml.etree import ElementTree

report, table, *tests = sys.argv[1:]
cases = list(ElementTree.parse(report).iter("testcase"))
name = lambda case: f"{case.get('classname').removeprefix('tests.')}::{case.get('name')}"
skipped = [(name(case), case.find("skipped").get("message")) for case in cases if case.find("skipped") is not None]
failed = [name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
reasons = {}
for _, reason in skipped:
    reasons[reason] = reasons.get(reason, 0) + 1
row = {
    "python": platform.python_version(),
    **{package: importlib.metadata.version(package) for package in ("torch", "numpy", "numba")},
    "passed": len(cases) - len(skipped) - len(failed), "skipped": reasons, "failed": failed,
}
rows = json.loads(Path(table).read_text()) if Path(table).exists() else []
rows = [old for old in rows if (old["python"], old["torch"]) != (row["python"], row["torch"])] + [row]
rows.sort(key=lambda row: [[int(n) for n in row[key].split("+")[0].split(".")] for key in ("torch", "python")])
Path(table).write_text(json.dumps(rows, indent=1) + "\n")
print({key: value for key, value in row.items() if key != "skipped"}, "skipped", sum(reasons.values()))
PYTHON
done
exit $failed
