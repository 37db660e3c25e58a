"""What Ray Serve itself costs: an application that answers at once, or after a call to an actor that does."""

from __future__ import annotations

from typing import Any, Final

import ray
from ray import serve
from starlette.requests import Request

BARE_PREFIX: Final = "/bare"


class _Echo:
    async def echo(self, body: Any) -> Any:
        return body


@serve.deployment(name="bare", max_ongoing_requests=1024, ray_actor_options={"num_cpus": 0})
class Bare:
    """``POST /bare/echo`` and ``POST /bare/actor`` give the JSON back that they got."""

    def __init__(self) -> None:
        self._actor: Any = ray.remote(_Echo).options(num_cpus=0).remote()

    async def __call__(self, request: Request) -> Any:
        """Answer one request."""
        body = await request.json()
        return await self._actor.echo.remote(body) if request.url.path.endswith("actor") else body


def run_bare() -> None:
    """Serve it beside whatever is served."""
    serve.run(Bare.bind(), name="bare", route_prefix=BARE_PREFIX)  # type: ignore[attr-defined]  # added by the decorator
