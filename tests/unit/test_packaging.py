"""The packages are ours, layered as designed, and described in one place."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

import memory_core

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["memory_core", "cluster", "deployments"])
def test_a_package_with_a_common_name_is_ours(name: str) -> None:
    file = importlib.import_module(name).__file__
    assert file is not None
    assert Path(file) == ROOT / name / "__init__.py"


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_version_has_one_source(project: dict[str, Any]) -> None:
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "memory_core.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", memory_core.__version__)


def test_every_direct_dependency_is_locked(project: dict[str, Any], lock: str) -> None:
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *(line for extra in extras for line in extra)]
    locked = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    names = {re.split(r"[\[<>=; ]", line)[0].lower().replace(".", "-") for line in wanted}
    assert names - locked == set()


def test_the_lock_names_no_machine(lock: str) -> None:
    assert not re.search(r"^--|file://|https?:|@|\+cpu", lock, re.MULTILINE)
    assert re.search(r"^torch==[\d.]+$", lock, re.MULTILINE)


def test_make_and_lock_agree_on_pytorch(lock: str) -> None:
    pinned = re.findall(r"^torch==[\d.]+$", lock, re.MULTILINE)
    assert f"TORCH := {pinned[0]}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_files_that_are_no_python_are_packaged(project: dict[str, Any]) -> None:
    packaged = {pattern.rpartition(".")[2] for pattern in project["tool"]["setuptools"]["package-data"]["*"]}
    present = {
        path.suffix[1:]
        for package in ("memory_core", "cluster", "deployments")
        for path in (ROOT / package).rglob("*.*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".so"}
    }
    assert present - packaged == set()


def test_what_is_locked_runs_on_every_python_that_we_name(project: dict[str, Any], lock: str) -> None:
    oldest = project["project"]["requires-python"].removeprefix(">=").partition(",")[0] + ".0"
    refused = []
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^\s;+]+)", lock, re.M):
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another extra or system
            continue
        wanted = SpecifierSet(found.metadata.get("Requires-Python") or "")
        if found.version.partition("+")[0] == version and not wanted.contains(oldest):
            refused.append(f"{name} {version} asks for {wanted}")
    assert refused == []
