"""Exit code 0 when the service in this container answers. Imports nothing but the library."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

port = os.environ.get("PORT") or os.environ.get("MCP_PORT") or "8765"
try:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=8) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except (urllib.error.URLError, OSError) as error:
    sys.exit(f"no answer on port {port}: {type(error).__name__}")
