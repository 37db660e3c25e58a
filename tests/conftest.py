"""Settings of the whole test suite."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from deployments.settings import Settings, names_of

# What a service of this machine or image is set to must not decide what tests find.
for _variable in {name.upper() for field in Settings.model_fields for name in names_of(field)}:
    os.environ.pop(_variable, None)

# The same examples in every run: a failure seen by a change belongs to that change. Look for new ones with
# HYPOTHESIS_PROFILE=explore.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Small matrices on a few shared cores: a second thread costs more than it brings. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Worker threads of the tokeniser warn when a test forks a process.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
