"""Try the built images for real, without an engine: each runs in a chroot, over volumes in a temporary folder.

The persistence check: observe, stop, start, and what was observed is no surprise. And: nobody is root, no build tools,
the health check answers, labels are there, a service beyond this machine asks for keys, nobody changes the expert.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from deployments.access.api_keys import mint
from deployments.ports import free_port

STORE: Final = Path(os.environ.get("IMAGES_STORE", "/var/tmp/neural-memory-images"))  # noqa: S108
BUILDAH: Final = ["buildah", "--root", str(STORE / "storage"), "--runroot", str(STORE / "run")]
SENTENCE: Final = "The release train leaves on Thursdays."
START_S: Final = 300.0
STOP_S: Final = 120.0
TOOLS: Final = ("gcc", "g++", "make", "cmake", "cargo", "git")


def buildah(*arguments: str, is_checked: bool = True) -> str:
    """Run buildah; gives what it printed."""
    done = subprocess.run([*BUILDAH, *arguments], capture_output=True, text=True, check=False)
    if is_checked and done.returncode != 0:
        raise SystemExit(f"buildah {' '.join(arguments[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


@contextmanager
def container(target: str) -> Iterator[str]:
    """A container of an image."""
    # Engines give containers as many files as the host has; buildah's own default is 1024.
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    name = buildah("from", "--ulimit", f"nofile={files}:{files}", f"localhost/neural-memory:{target}")
    try:
        yield name
    finally:
        buildah("rm", name, is_checked=False)


def in_container(name: str, volumes: dict[Path, str], variables: dict[str, str]) -> list[str]:
    """The command that runs what follows it in the container, as the image's user."""
    mounts = [part for folder, place in volumes.items() for part in ("--volume", f"{folder}:{place}:rw")]
    given = [part for pair in variables.items() for part in ("--env", "=".join(pair))]
    return [*BUILDAH, "run", "--isolation", "chroot", *mounts, *given, name, "--"]


@contextmanager
def service(target: str, volumes: dict[Path, str], variables: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The image's own command until the block ends; gives its address and the container's name."""
    port = free_port()
    given = {"PORT": str(port), "HOST": "127.0.0.1", **variables}
    with container(target) as name, tempfile.TemporaryFile() as log:
        enter = in_container(name, volumes, given)
        running = subprocess.Popen(
            [*enter, "tini", "-s", "--", "neural-memory", "serve"], stdout=log, stderr=subprocess.STDOUT
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_ready(url, running, log)
            yield url, name
        finally:
            subprocess.run([*enter, "neural-memory", "stop"], capture_output=True, check=False, timeout=STOP_S)
            running.wait(STOP_S)


def wait_ready(url: str, running: subprocess.Popen[bytes], log: Any) -> None:
    """Return once /ready says so."""
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and running.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5):  # noqa: S310  loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    log.seek(0)
    raise SystemExit(f"the service at {url} did not start:\n{log.read().decode(errors='replace')[-3000:]}")


def call(url: str, body: dict[str, Any] | None = None, key: str | None = None) -> tuple[int, Any]:
    """A request; gives the status and the answer."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310  loopback
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def expect(is_true: bool, claim: str, shown: object = "") -> None:
    """Say that a claim holds, or end."""
    print(f"  {'yes' if is_true else 'NO '} {claim}{f' ({shown})' if shown != '' else ''}", flush=True)
    if not is_true:
        raise SystemExit(1)


def surprise(url: str, key: str | None = None) -> float:
    """Of the sentence."""
    status, answer = call(f"{url}/v1/memories/project/surprise", {"texts": [SENTENCE]}, key)
    if status == 422:
        status, answer = call(f"{url}/v1/memories/project/surprise", {"text": SENTENCE}, key)
    assert status == 200, answer
    return float((answer.get("results") or [answer])[0]["score"])


def owned_by_memory(folder: Path) -> Path:
    """A folder that the image's user may write to."""
    folder.mkdir(parents=True)
    os.chown(folder, 1000, 1000)
    return folder


def try_persistence(target: str, folder: Path) -> None:
    """Observe, stop, start: low surprise and the same weights."""
    volumes = {
        owned_by_memory(folder / "weights"): "/app/weights",
        owned_by_memory(folder / "archives"): "/app/checkpoints",
    }
    with service(target, volumes, {}) as (url, name):
        expect(call(f"{url}/v1/memories", {"name": "project"})[0] == 201, "creates a memory")
        expect((new := surprise(url)) > 0.9, "the sentence is a surprise", f"{new:.3f}")
        expect(call(f"{url}/v1/memories/project/observe", {"text": SENTENCE})[0] == 200, "observes it")
        before = call(f"{url}/v1/memories/project")[1]["weight_hash"]
        variables = {"PORT": url.rpartition(":")[2]}
        # With the same volumes: buildah makes those that are not named anew, also under a running service.
        done = subprocess.run([*in_container(name, volumes, variables), "python3", "/app/healthcheck.py"], check=False)
        expect(done.returncode == 0, "the health check answers")
    expect(True, "stopped")
    with service(target, volumes, {}) as (url, _):
        expect((known := surprise(url)) < 0.1, "after a start it is none", f"{known:.3f}")
        expect(call(f"{url}/v1/memories/project")[1]["weight_hash"] == before, "the weights are the same", before[:12])


def try_space(folder: Path) -> None:
    """The hosted space: beyond this machine, so with the operator's key, and everything below /data."""
    key = mint()[0]
    volumes = {owned_by_memory(folder / "data"): "/data"}
    variables = {"HOST": "0.0.0.0", "NEURAL_MEMORY_API_KEY": key}  # noqa: S104  what is tried
    with service("hf", volumes, variables) as (url, _):
        expect(call(f"{url}/v1/memories")[0] == 401, "asks for a key")
        expect(call(f"{url}/v1/memories", {"name": "project"}, key)[0] == 201, "takes the operator's")
        call(f"{url}/v1/memories/project/observe", {"text": SENTENCE}, key)
    with service("hf", volumes, variables) as (url, _):
        expect((known := surprise(url, key)) < 0.1, "after a start the sentence is no surprise", f"{known:.3f}")


def try_expert(folder: Path) -> None:
    """A memory baked in: it answers, and nobody changes it."""
    volumes = {owned_by_memory(folder / "weights"): "/app/weights"}
    with service("expert", volumes, {}) as (url, _):
        status, answer = call(f"{url}/v1/memories/python/infer", {"prompt": "How do I run a shell command?"})
        expect(status == 200 and "subprocess" in answer["response"], "answers", answer.get("response", "")[:60])
        status, answer = call(f"{url}/v1/memories/python/observe", {"text": SENTENCE})
        expect(status == 403, "lets nobody change it", answer["error"]["code"])


def try_outside(target: str) -> None:
    """What is so without running the service."""
    found = json.loads(buildah("inspect", "--type", "image", f"localhost/neural-memory:{target}"))
    config = found["Docker"]["config"]
    expect(config["User"] == "memory", "runs as", config["User"])
    expect(set(config["Volumes"]) == {"/app/weights", "/app/checkpoints"}, "has its volumes")
    expect(bool(config.get("Healthcheck")), "has a health check")
    expect(
        "org.opencontainers.image.version" in config["Labels"],
        "is labelled",
        config["Labels"]["org.opencontainers.image.version"],
    )
    with container(target) as name:
        enter = in_container(name, {}, {})
        there = subprocess.run(
            [*enter, "sh", "-c", f"id -u; for tool in {' '.join(TOOLS)}; do command -v $tool; done; true"],
            capture_output=True, text=True, check=False,
        ).stdout.split()  # fmt: skip
        expect(there == ["1000"], "is user 1000, without build tools", " ".join(there))


def main() -> None:
    """Try the images that are named, or all four."""
    targets = sys.argv[1:] or ["base", "slim", "hf", "expert"]
    with tempfile.TemporaryDirectory(prefix="neural-memory-images-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        trials: dict[str, Callable[[], None]] = {
            "base": lambda: try_persistence("base", folder / "base"),
            "slim": lambda: try_persistence("slim", folder / "slim"),
            "hf": lambda: try_space(folder / "hf"),
            "expert": lambda: try_expert(folder / "expert"),
        }
        for target in targets:
            print(
                f"{target}: {buildah('images', '--format', '{{.Size}}', f'localhost/neural-memory:{target}')}",
                flush=True,
            )
            try_outside(target)
            trials[target]()


if __name__ == "__main__":
    main()
