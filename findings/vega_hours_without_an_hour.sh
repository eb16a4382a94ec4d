#!/usr/bin/env bash
# The two hourly series that vega_datasets ships (temperatures of Seattle and San Francisco, 2010) lack one hour of March, and it
# is not the one that clocks skip: 02:00 on the 14th, which did not exist there, is in the file, 03:00, which did, is not. No
# time zone fits: local time has no 02:00 that day and two 01:00 on 7 November, UTC and standard time have all 24 hours of both.
#
# Guess before it was run: 8,759 rows are a year of local time; 02:00 is missing on the day when clocks go forward, and the
#   hour that is missing in the other direction, 01:00 twice in November, is there, or has been dropped as a repeat.
# Seen (vega_datasets 0.9.0, pandas 3.1.1): 02:00 is there, 03:00 is not, 01:00 in November once. So the series cannot be given
#   its own zone: pandas refuses 02:00 as nonexistent and 01:00 in November as ambiguous.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet vega_datasets==0.9.0 pandas==3.1.1
cd "$folder"
env/bin/python - <<'PY'
import pandas as pd
from vega_datasets import local_data

for name in ("seattle_temps", "sf_temps"):
    stamps = pd.DatetimeIndex(getattr(local_data, name)()["date"])
    missing = pd.date_range(stamps[0], stamps[-1], freq="h").difference(stamps)
    refused = []
    for options in ({"ambiguous": True}, {"nonexistent": "shift_forward"}):
        try:
            stamps.tz_localize("America/Los_Angeles", **options)
        except ValueError as error:  # pandas 3 raises kinds of ValueError
            refused.append(str(error).split(",")[0])
    print(f"{name}: {len(stamps)} rows, repeated {stamps.duplicated().sum()}, missing {[str(stamp) for stamp in missing]}; "
          f"refused: {'; '.join(refused)}")
    there = pd.Timestamp("2010-03-14 02:00") in stamps and (stamps == "2010-11-07 01:00").sum() == 1
    if not (there and [str(stamp) for stamp in missing] == ["2010-03-14 03:00:00"] and len(refused) == 2):
        raise SystemExit(1)
PY
