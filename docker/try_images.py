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

import psutil

from deployments.access.api_keys import mint
from deployments.ports import free_port

STORE: Final = Path(os.environ.get("IMAGES_STORE", "/var/tmp/neural-memory-images"))  # noqa: S108
BUILDAH: Final = ["buildah", "--root", str(STORE / "storage"), "--runroot", str(STORE / "run")]
SENTENCE: Final = "The release train leaves on Thursdays."
START_S: Final = 300.0
STOP_S: Final = 120.0
DOCUMENT_PARAGRAPHS: Final = 100  # the persona's own words are eleven
TOOLS: Final = ("gcc", "g++", "make", "cmake", "cargo", "git")


def buildah(*arguments: str, is_checked: bool = True) -> str:
    """Run buildah; gives what it printed."""
    done = subprocess.run([*BUILDAH, *arguments], capture_output=True, text=True, check=False)
    if is_checked and done.returncode != 0:
        raise SystemExit(f"buildah {' '.join(arguments[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def image_config(target: str) -> dict[str, Any]:
    """What the image says of itself: Cmd, Entrypoint, Env, Healthcheck, Labels, User, Volumes."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", f"localhost/neural-memory:{target}"))
    return dict(found["Docker"]["config"])


@contextmanager
def container(target: str) -> Iterator[str]:
    """A container of an image."""
    # Engines give containers as many files as the host has; buildah's own default is 1024.
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    name = buildah("from", "--ulimit", f"nofile={files}:{files}", f"localhost/neural-memory:{target}")
    # In a chroot buildah 1.28 mounts a folder of the container's own for each volume of the image, and the folder that
    # --volume names, in an order that it draws: seven times in ten the container's hid ours, and went with it.
    buildah("config", "--volume", "-", name)
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
def service(target: str, volumes: dict[Path, str], variables: dict[str, str]) -> Iterator[str]:
    """What the image starts by itself, until an engine's stop signal at the end; gives its address.

    Once it is ready, the image's own health check has to agree. ``PORT`` is the image's where variables have none.
    """
    config = image_config(target)
    own = dict(entry.split("=", 1) for entry in config["Env"])
    port = variables.get("PORT") or own["MCP_PORT"]
    with container(target) as name, tempfile.TemporaryFile() as log:
        enter = in_container(name, volumes, variables)
        running = subprocess.Popen(
            [*enter, *config["Entrypoint"], *config["Cmd"]], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_ready(f"http://127.0.0.1:{port}", running, log)
            kind, *check = config["Healthcheck"]["Test"]
            done = subprocess.run([*enter, *check], capture_output=True, check=False)
            expect(kind == "CMD" and done.returncode == 0, "its health check answers", f"port {port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(running)


def stop(running: subprocess.Popen[bytes]) -> None:
    """As an engine does: the stop signal to the container's first process, which is tini."""
    if running.poll() is not None:
        return
    for process in psutil.Process(running.pid).children(recursive=True):
        if process.name() == "tini":
            process.terminate()
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


def on_loopback() -> dict[str, str]:
    """Variables of a service that only this machine reaches: it asks for no keys."""
    return {"PORT": str(free_port()), "HOST": "127.0.0.1"}


def try_persistence(target: str, folder: Path) -> None:
    """Observe, stop, start: low surprise and the same weights."""
    volumes = {
        owned_by_memory(folder / "weights"): "/app/weights",
        owned_by_memory(folder / "archives"): "/app/checkpoints",
    }
    with service(target, volumes, on_loopback()) as url:
        expect(call(f"{url}/v1/memories", {"name": "project"})[0] == 201, "creates a memory")
        expect((new := surprise(url)) > 0.9, "the sentence is a surprise", f"{new:.3f}")
        expect(call(f"{url}/v1/memories/project/observe", {"text": SENTENCE})[0] == 200, "observes it")
        before = call(f"{url}/v1/memories/project")[1]["weight_hash"]
    expect(any((folder / "weights").iterdir()), "stopped, and its files are on the volume")
    with service(target, volumes, on_loopback()) as url:
        expect((known := surprise(url)) < 0.1, "after a start it is none", f"{known:.3f}")
        expect(call(f"{url}/v1/memories/project")[1]["weight_hash"] == before, "the weights are the same", before[:12])


def try_space(folder: Path) -> None:
    """The hosted space as it comes: the demonstration's page on 7860, the operator's key, everything below /data."""
    key = mint()[0]
    volumes = {owned_by_memory(folder / "data"): "/data"}
    variables = {"NEURAL_MEMORY_API_KEY": key}
    with service("hf", volumes, variables) as url:
        expect(url.endswith(":7860"), "is on its port", url)
        expect(call(f"{url}/v1/memories")[0] == 401, "asks for a key")
        expect(call(f"{url}/v1/memories", {"name": "project"}, key)[0] == 201, "takes the operator's")
        expect((new := surprise(url, key)) > 0.9, "the sentence is a surprise", f"{new:.3f}")
        call(f"{url}/v1/memories/project/observe", {"text": SENTENCE}, key)
        try_page(url)
    with service("hf", volumes, variables) as url:
        expect((known := surprise(url, key)) < 0.1, "after a start the sentence is no surprise", f"{known:.3f}")


def try_page(url: str) -> None:
    """The page is served, its persona was taught from the documents in the image, and answers a visitor."""
    with urllib.request.urlopen(f"{url}/ui", timeout=30) as answer:  # noqa: S310  loopback
        expect(b"<!doctype html" in answer.read().lower(), "shows the page")
    config = call(f"{url}/ui/config.json")[1]
    persona, key = config["persona"]["memory"], config["chat_key"]
    deadline_s, taught = time.monotonic() + START_S, 0
    while time.monotonic() < deadline_s and taught < DOCUMENT_PARAGRAPHS:
        status, stats = call(f"{url}/v1/memories/{persona}", key=key)
        taught = stats["observation_count"] if status == 200 else 0
        time.sleep(1)
    expect(taught >= DOCUMENT_PARAGRAPHS, "its persona was taught", f"{taught} texts")
    question = {"messages": [{"role": "user", "content": config["persona"]["questions"][1]}], "memory": persona}
    status, answer = call(f"{url}/v1/chat", {**question, "learn": False}, key)
    said = answer["choices"][0]["message"]["content"] if status == 200 else str(answer)
    expect(status == 200 and f"[{persona}#" in said, "and answers a visitor", said[:90].replace("\n", " "))


def try_expert(folder: Path) -> None:
    """A memory baked in: it answers, and nobody changes it, before a stop and after."""
    volumes = {owned_by_memory(folder / "weights"): "/app/weights"}
    for _ in range(2):
        with service("expert", volumes, on_loopback()) as url:
            status, answer = call(f"{url}/v1/memories/python/infer", {"prompt": "How do I run a shell command?"})
            expect(status == 200 and "subprocess" in answer["response"], "answers", answer.get("response", "")[:60])
            status, answer = call(f"{url}/v1/memories/python/observe", {"text": SENTENCE})
            expect(status == 403, "lets nobody change it", answer["error"]["code"])


def try_outside(target: str) -> None:
    """What is so without running the service."""
    config = image_config(target)
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
