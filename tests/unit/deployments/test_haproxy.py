"""HAProxy in front: private to this machine, and only where it can run."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from deployments import proxy_choice
from deployments.haproxy_launcher import bind_to_loopback
from deployments.proxy_choice import prepared_ray
from memory_core.errors import InvalidInput


@pytest.fixture(autouse=True)
def untouched_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_every_bind_to_all_interfaces_becomes_private() -> None:
    config = "  bind *:8404\n    bind :9101\n    bind 127.0.0.1:8000\n    bind 10.0.0.1:80\n"
    assert bind_to_loopback(config) == (
        "  bind 127.0.0.1:8404\n    bind 127.0.0.1:9101\n    bind 127.0.0.1:8000\n    bind 10.0.0.1:80\n"
    )


def test_the_launcher_becomes_the_program_with_its_arguments(tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text("bind *:1\n", encoding="utf-8")
    launcher = proxy_choice._launcher(tmp_path, "/bin/echo")
    done = subprocess.run([launcher, "-db", "-f", str(config)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["-db", "-f", str(config)]
    assert config.read_text(encoding="utf-8") == "bind 127.0.0.1:1\n"


def test_auto_takes_rays_own_front_where_haproxy_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_choice, "_working_haproxy", lambda: None)
    with prepared_ray("auto", is_loopback=True) as front:
        assert front == "default"
    with pytest.raises(InvalidInput), prepared_ray("haproxy", is_loopback=True):
        pass


def test_a_binary_that_fails_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_BINARY_PATH", "/bin/false")
    assert proxy_choice._working_haproxy() is None


def test_the_files_of_haproxy_are_in_a_folder_that_goes_away() -> None:
    with prepared_ray("auto", is_loopback=True) as front:
        if front == "default":
            pytest.skip("no HAProxy here")
        folder = Path(os.environ["RAY_SERVE_HAPROXY_CONFIG_FILE_LOC"]).parent
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_auto_takes_rays_own_front_where_too_few_files_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    with prepared_ray("auto", is_loopback=True) as front:
        assert front == "default"


def test_the_limit_of_open_files_is_raised_for_haproxy(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 65536))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    with prepared_ray("auto", is_loopback=True) as front:
        assert front == "haproxy"
    assert raised == [(10_500, 65536)]
