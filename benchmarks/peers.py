"""The other systems, installed once into a cache outside the work tree: a virtual environment, and compiled Java."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from slastream.local.kafka import find_java

HERE = Path(__file__).parent
INSTALL_LIMIT_SECONDS = 900


def cache_folder() -> Path:
    """Beside Kafka's jars."""
    return Path(os.environ.get("SLASTREAM_CACHE") or Path.home() / ".cache" / "slastream")


def peers_python() -> Path:
    """The Python that has the peers; made the first time from `peers.txt` (about a minute)."""
    folder = cache_folder() / f"peers-{_digest(HERE / 'peers.txt')}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(HERE / "peers.txt")])
        (folder / "done").touch()
    return folder / "bin" / "python"


def java_command() -> list[str]:
    """What runs `CounterStreams`; compiled the first time. Raises DeliveryError without Java."""
    java = find_java()
    folder = cache_folder() / f"streams-{_digest(HERE / 'java' / 'CounterStreams.java', HERE / 'java' / 'pom.xml')}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "classes").mkdir(parents=True)
        jars = ["dependency:copy-dependencies", f"-DoutputDirectory={folder / 'jars'}", "-DincludeScope=runtime"]
        _run(["mvn", "-B", "-q", "-f", str(HERE / "java" / "pom.xml"), *jars])
        source = str(HERE / "java" / "CounterStreams.java")
        _run(["javac", "-cp", f"{folder / 'jars'}/*", "-d", str(folder / "classes"), source])
        (folder / "done").touch()
    return [java, "-Xmx1g", "-cp", f"{folder / 'classes'}:{folder / 'jars'}/*", "CounterStreams"]


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


def _run(command: list[str]) -> None:
    print("once:", Path(command[0]).name, *command[1:4], "...", file=sys.stderr)
    subprocess.run(command, check=True, timeout=INSTALL_LIMIT_SECONDS, stdout=sys.stderr)
