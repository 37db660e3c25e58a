"""What is published works where nothing else is: the built wheel in an empty environment, and its bill of materials."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import memory_core

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env={**given, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", folder, ROOT, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheels_name_has_the_one_version(wheel: Path) -> None:
    assert wheel.name.startswith(f"neural_memory-{memory_core.__version__}-cp311-abi3-")


def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    bin_folder = tmp_path / "venv" / "bin"
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", wheel, "-c", ROOT / "requirements.lock", cwd=tmp_path)
    program, home = bin_folder / "neural-memory", {"HOME": str(tmp_path), "ENCODER": "hash"}
    assert memory_core.__version__ in run(program, "--version", cwd=tmp_path, **home)
    run(program, "create", "notes", "--local", cwd=tmp_path, **home)
    run(program, "observe", "notes", "Glass is made of sand.", "--local", cwd=tmp_path, **home)
    answer = run(program, "infer", "notes", "What is glass made of?", "--local", "--json", cwd=tmp_path, **home)
    assert json.loads(answer)["response"] == "Glass is made of sand."
    assert json.loads(run(program, "size", "--memories", "10", "--json", cwd=tmp_path, **home))["figures"]["nodes"] == 1


def test_the_bill_of_materials_names_everything_that_is_locked(tmp_path: Path) -> None:
    lock, file = ROOT / "requirements.lock", tmp_path / "sbom.json"
    run(sys.executable, "-m", "cyclonedx_py", "requirements", lock, "--of", "JSON", "-o", file, cwd=tmp_path)
    named = {part["name"].lower() for part in json.loads(file.read_text())["components"]}
    assert named >= set(re.findall(r"^([a-z0-9._-]+)==", lock.read_text(), re.M))
