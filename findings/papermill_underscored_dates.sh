#!/usr/bin/env bash
# papermill's -p turns a date with underscores, as folders of runs are often called, into a number, and its -y turns a
# time of the day into one, too.
#
# Guess before it was run: 2026_11_28 and 12:30 stay texts; only what looks like a number to a reader becomes one.
# Seen (papermill 2.7.0): -p run_dir 2026_11_28 gives the integer 20261128 (Python's int() allows underscores), so that
#   results land in another folder; -y 'run_dir: 2026_11_28' gives the same; -y 'at: 12:30' gives 750 (a number to the base
#   of 60, as YAML 1.1 has them), while -p at 12:30 stays a text. 2026-11-28 stays a text both ways: papermill's loader of
#   YAML leaves dates out, but not these. -r keeps all as they are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet papermill==2.7.0 ipykernel==7.4.0
cd "$folder"
env/bin/python - <<'PY'
from click.testing import CliRunner
from papermill.cli import papermill
from unittest.mock import patch

seen = {}
ways = {"-p": ["-p", "value"], "-r": ["-r", "value"], "-y": ["-y"]}
for text in ("2026_11_28", "12:30", "2026-11-28"):
    for way, options in ways.items():
        options = options + [text] if way != "-y" else [way, f"value: {text}"]
        with patch("papermill.cli.execute_notebook") as execute:
            result = CliRunner().invoke(papermill, ["in.ipynb", "out.ipynb", *options])
        assert result.exit_code == 0, result.output
        value = execute.call_args.kwargs["parameters"]["value"]
        seen[text, way] = value
        print(f"{way} {text:12} {type(value).__name__:5} {value!r}")
assert seen["2026_11_28", "-p"] == seen["2026_11_28", "-y"] == 20261128 and seen["2026_11_28", "-r"] == "2026_11_28"
assert seen["12:30", "-p"] == "12:30" and seen["12:30", "-y"] == 750
assert all(seen["2026-11-28", way] == "2026-11-28" for way in ways)
PY
