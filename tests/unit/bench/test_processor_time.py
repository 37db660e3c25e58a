"""Processor time goes to the part of the service that spent it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deployments.bench.processor_time import ENCODER, FRONT, HOST, REST, processor_s, spent_s

SPIN = "import time\nprint(flush=True)\nwhile time.process_time() < {}: pass\nprint(flush=True)\ninput()"


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("ray::MemoryHost.read", HOST),
        ("ray::ServeReplica:neural-memory:ingress.handle_request", FRONT),
        ("ray::ServeReplica:neural-memory:encoder", ENCODER),
        ("ray::ServeController.listen", REST),
    ],
)
def test_what_a_process_spent_is_counted_by_its_title(title: str, kind: str) -> None:
    # The first word of a command line is what its starter says.
    command = [title, "-c", SPIN.format(0.5)]
    with subprocess.Popen(command, executable=sys.executable, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = processor_s()
        process.stdout.readline()
        spent = spent_s(before)
        process.communicate("\n")
    assert 0.2 < spent[kind] <= 0.6
    assert [other for other, seconds in spent.items() if other not in {kind, REST} and seconds > 0.1] == []
