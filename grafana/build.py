"""Makes what is committed here from Python: the dashboards and `docs/metrics.md`.

python grafana/build.py            # write
python grafana/build.py --check    # 1 when a committed file differs
"""

import argparse
import difflib
import json
import sys
from pathlib import Path

from definitions.agreement import agreement
from definitions.breaches import breaches
from definitions.overview import overview
from definitions.pipeline import pipeline
from definitions.providers import providers
from definitions.service import service
from definitions.tickets import tickets
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from slastream.export.catalogue import as_markdown

HERE = Path(__file__).parent


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    made = {
        HERE.parent / "docs" / "metrics.md": as_markdown(),
        HERE.parent / "examples" / "grafana" / "breaches.json": json_of(breaches()),
    }
    for one in (overview(), service(), tickets(), agreement(), providers(), pipeline()):
        made[HERE / "dashboards" / f"{str(one.uid).removeprefix('slastream-')}.json"] = json_of(one)
    return made


def json_of(one: Dashboard) -> str:
    """As it is committed."""
    return json.dumps(one, cls=JSONEncoder, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="make the dashboards and the page of the metrics")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a committed file differs")
    is_check = parser.parse_args().check
    status = 0
    for path, text in files().items():
        if not is_check:
            path.write_text(text, encoding="utf-8")
            continue
        held = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in difflib.unified_diff(held.splitlines(), text.splitlines(), str(path), "generated", lineterm=""):
            print(line)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
