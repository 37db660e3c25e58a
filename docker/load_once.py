"""Load what the processes of a service load, as far as it is installed, so that its bytecode is written.

Where no bytecode is, and none may be written, each of a dozen processes compiles its libraries anew: seconds of a core.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Final

OURS: Final = ("memory_core", "cluster", "deployments")
MODULES: Final = (
    "deployments.app",
    "deployments.cli.app",
    "memory_core.local_backend",
    "memory_core.encoding.minilm",
    "cluster.ray_datasets",
    "ray.data",
    "pandas",
    "pyarrow",
    # What Ray starts beside every node.
    "ray._private.log_monitor",
    "ray._private.runtime_env.agent.main",
    "ray.autoscaler._private.monitor",
    "ray.dashboard.agent",
    "ray.dashboard.dashboard",
    "ray.dashboard.modules.job.job_agent",
    "uvicorn.protocols.websockets.auto",
)

warnings.simplefilter("ignore")
for module in MODULES:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:  # an extra that was not asked for
        if str(error.name).startswith(OURS):
            raise
