"""What starts a head that others join."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cluster.head_node import start_command, tables_environment
from deployments.settings import Settings


@pytest.mark.parametrize(
    ("url", "address", "options"),
    [
        ("redis://redis", "redis:6379", []),
        ("redis://:s%40cret@redis:7000/0", "redis:7000", ["--redis-password=s@cret"]),
        ("rediss://ann:pw@r:1", "rediss://r:1", ["--redis-username=ann", "--redis-password=pw"]),
    ],
)
def test_a_redis_url_becomes_what_ray_takes(url: str, address: str, options: list[str]) -> None:
    place = Settings.model_validate({"redis_url": url}).redis
    assert tables_environment(place)["RAY_REDIS_ADDRESS"] == address
    command = start_command("/tmp/x", 6379, place, 100)
    assert [part for part in command if part.startswith("--redis")] == options


def test_without_redis_nothing_is_said_of_it() -> None:
    assert tables_environment(Settings().redis) == {}


def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(ValidationError, match="redis://host"):
        Settings.model_validate({"redis_url": "postgres://x"})
