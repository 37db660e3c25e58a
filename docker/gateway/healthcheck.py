"""Exit code 0 when the gateway in this container answers."""

from __future__ import annotations

import os
import sys
import urllib.request

port = os.environ.get("GATEWAY_PORT", "8760")
with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=8) as answer:
    sys.exit(0 if answer.status == 200 else 1)
