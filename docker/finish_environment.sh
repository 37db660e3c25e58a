#!/bin/sh
# Take out of an environment what serving never imports: headers, tests, other libraries' trainers, pip itself. What it
# does import is compiled now: nobody who runs the image may write there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"/lib/python3*/site-packages
rm -rf torch/include torch/test ray/rllib ray/jars
"$1"/bin/python -m pip uninstall --quiet --yes wheel pip
find . -name '__pycache__' -type d -prune -exec rm -rf {} +
"$1"/bin/python "$here"/load_once.py
