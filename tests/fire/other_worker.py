"""A worker that is not quite the product's: its state has another version, or its producer is small.

`python -m tests.fire.other_worker '{"newer_by": 1, "settings": {"batch_bytes": 2048}}' WORKER-ARGUMENTS`
"""

import argparse
import json
import logging
import sys

from slastream.app import load_policy_path, make_stages
from slastream.stream import service_stage
from slastream.stream.worker import WorkerSettings, run_worker
from slastream.wire import snapshots


def main() -> int:
    other = json.loads(sys.argv[1])
    parser = argparse.ArgumentParser()
    for name in ("broker", "policy", "delivery", "app-id", "instance", "metrics"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--session-timeout-seconds", type=float)
    options = parser.parse_args(sys.argv[2:])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for module in (snapshots, service_stage):
        assert isinstance(vars(module)["VERSION"], int)
        vars(module)["VERSION"] += other.get("newer_by", 0)
    settings = WorkerSettings(
        broker=options.broker,
        app_id=options.app_id,
        delivery=options.delivery,
        group_instance_id=options.instance,
        session_timeout_seconds=options.session_timeout_seconds,
        **other.get("settings", {}),
    )
    run_worker(settings, make_stages(load_policy_path(options.policy)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
