"""The wheel with compiled modules says what the sources say: the oracle and the stages' own tests, run in it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.compiler,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("gcc") is None and os.environ.get("CI") != "true", reason="no C compiler: install gcc"
    ),
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("made")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("slastream", "topics"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = [
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(made),
        str(source),
    ]
    subprocess.run(
        [sys.executable, *build], check=True, env=os.environ | {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"}, timeout=800
    )
    (wheel,) = made.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(made / "site")
    return made / "site"


def run(site: Path, *arguments: str) -> str:
    """Python with the compiled package in front of the sources."""
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-P", *arguments], cwd=site, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_hot_modules_are_compiled(compiled: Path) -> None:
    names = run(
        compiled,
        "-c",
        "from slastream.core import clocks, tickets; from slastream.stream import ticket_stage; "
        "print(*(m.__file__ for m in (clocks, tickets, ticket_stage)))",
    ).split()
    assert [Path(name).suffix for name in names] == [".so"] * 3


def test_the_oracle_agrees(compiled: Path) -> None:
    assert "0 disagreements" in run(compiled, "-m", "tests.oracle", "--seeds", "500", "--first", "10000")


def test_the_stages_keep_their_rules(compiled: Path) -> None:
    tests = [str(ROOT / "tests" / "stream" / name) for name in ("test_policy_change.py", "test_same_instant.py")]
    run(
        compiled,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(ROOT),
        "-c",
        str(ROOT / "pyproject.toml"),
        *tests,
    )
