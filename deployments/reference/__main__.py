"""``python -m deployments.reference docs/reference`` writes the pages that the repository keeps."""

from __future__ import annotations

import sys
from pathlib import Path

from deployments.reference.pages import KEPT, pages

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    written = pages()
    for name in KEPT:
        (folder / name).write_text(written[name], encoding="utf-8")
