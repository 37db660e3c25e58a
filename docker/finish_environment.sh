#!/bin/sh
# Take out of an environment what serving never imports: headers, tests, other libraries' trainers, pip itself.
set -eu
cd "$1"/lib/python3*/site-packages
rm -rf torch/include torch/test ray/rllib ray/jars
"$1"/bin/python -m pip uninstall --quiet --yes wheel pip
find . -name '__pycache__' -type d -prune -exec rm -rf {} +
