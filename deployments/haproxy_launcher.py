"""Stands in for the HAProxy program: keeps it private to this machine and lets it end with its parent.

A script of its own, started as ``python haproxy_launcher.py BINARY ARGUMENTS...``; imports nothing but the library.
Ray binds HAProxy's pages of figures to every interface, and a killed service would leave HAProxy on its port.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
from pathlib import Path

_EVERY_INTERFACE = re.compile(r"^(\s*bind )\*?:", re.MULTILINE)
_PR_SET_PDEATHSIG = 1


def bind_to_loopback(config: str) -> str:
    """The configuration with every bind to all interfaces narrowed to loopback."""
    return _EVERY_INTERFACE.sub(r"\g<1>127.0.0.1:", config)


def main(binary: str, *arguments: str) -> None:
    """Rewrite the configuration named after ``-f``, ask the kernel to end us with our parent, become HAProxy."""
    path = Path(arguments[arguments.index("-f") + 1])
    path.write_text(bind_to_loopback(path.read_text(encoding="utf-8")), encoding="utf-8")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(binary, [binary, *arguments])  # noqa: S606  the binary that Ray would have started


if __name__ == "__main__":
    main(*sys.argv[1:])
