"""What is deployed on Ray Serve, as far as it can be seen without a cluster."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from deployments.settings import Settings
from memory_core.encoding.encoder import EncoderInfo
from memory_core.errors import InvalidInput, NeuralMemoryError, Overloaded, Unavailable
from memory_core.ids import EncoderId
from memory_core.testing.small_memory import hash_encoder

HASH = EncoderId("hash")


@pytest.fixture(scope="module", autouse=True)
def loaded() -> Iterator[None]:
    with warnings.catch_warnings():
        # Ray's own use of pydantic is not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        import deployments.app
        import deployments.serve_encoder  # noqa: F401
    yield


@pytest.fixture
def serve_encoder() -> ModuleType:
    import deployments.serve_encoder

    return deployments.serve_encoder


class Method:
    """A remote method that answers from ``answer``, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[Any] = []

    async def remote(self, argument: Any) -> Any:
        self.calls.append(argument)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(argument)


class Replicas:
    """Stands in for the handle of the encoder's deployment."""

    def __init__(self, answer: Any = None) -> None:
        self.encode = Method(answer or (lambda request: hash_encoder().encode(request.texts)))
        self.describe = Method(lambda encoder: EncoderInfo(encoder_id=encoder, fingerprint="f", key_dim=384))


async def test_long_lists_are_cut_and_come_back_in_order(serve_encoder: ModuleType) -> None:
    replicas = Replicas()
    texts = [f"text number {number}" for number in range(300)]
    encoded = await serve_encoder.ServeEncoderPool(replicas).encode(HASH, texts)
    assert [one.text for one in encoded] == texts
    assert [len(request.texts) for request in replicas.encode.calls] == [128, 128, 44]


async def test_an_identity_is_asked_for_once(serve_encoder: ModuleType) -> None:
    replicas = Replicas()
    pool = serve_encoder.ServeEncoderPool(replicas)
    assert await pool.describe(HASH) == await pool.describe(HASH)
    assert len(replicas.describe.calls) == 1


def failures() -> list[tuple[Exception, type[NeuralMemoryError]]]:
    from ray.exceptions import RayActorError
    from ray.serve.exceptions import BackPressureError, RayServeException

    return [
        (BackPressureError(num_queued_requests=5, max_queued_requests=5), Overloaded),
        (RayServeException("gone"), Unavailable),
        (RayActorError(), Unavailable),
        (InvalidInput("unknown encoder"), InvalidInput),
    ]


@pytest.mark.parametrize("case", range(4))
async def test_what_goes_wrong_in_the_fleet_is_a_typed_error(serve_encoder: ModuleType, case: int) -> None:
    failure, expected = failures()[case]
    with pytest.raises(expected) as raised:
        await serve_encoder.ServeEncoderPool(Replicas(failure)).encode(HASH, ["a"])
    assert raised.value.retryable == (expected is not InvalidInput)


def test_another_encoder_starts_while_requests_queue_up_and_the_queue_has_an_end(serve_encoder: ModuleType) -> None:
    import deployments.app

    built = deployments.app.build_app(Settings(encoder="hash", encoder_replicas_max=3, encoder_queue=7))
    (encoder,) = [one for one in built._bound_deployment.init_args if hasattr(one, "_bound_deployment")]
    fleet = encoder._bound_deployment
    scaling = fleet._deployment_config.autoscaling_config
    assert (fleet.max_queued_requests, scaling.min_replicas, scaling.max_replicas) == (7, 1, 3)
    assert scaling.target_ongoing_requests < fleet.max_ongoing_requests
    alone = serve_encoder.EncoderReplica.options(**serve_encoder.fleet_options(1, 7))
    assert (alone.num_replicas, alone._deployment_config.autoscaling_config) == (1, None)


def test_an_encoder_takes_the_share_of_a_gpu_that_is_set_and_none_otherwise(serve_encoder: ModuleType) -> None:
    shared = serve_encoder.EncoderReplica.options(**serve_encoder.fleet_options(1, 7, 0.25))
    assert shared.ray_actor_options == {"num_cpus": 0, "num_gpus": 0.25}
    assert serve_encoder.EncoderReplica.options(**serve_encoder.fleet_options(1, 7)).ray_actor_options == {
        "num_cpus": 0
    }
    with pytest.raises(ValidationError):
        Settings(encoder_gpus=1.5)


def test_the_config_file_names_the_application_and_the_default_address() -> None:
    config = yaml.safe_load(Path("serve_config.yaml").read_text(encoding="utf-8"))
    settings = Settings(host="127.0.0.1", port=8000)
    assert config["http_options"] == {"host": settings.host, "port": settings.port}
    (application,) = config["applications"]
    import deployments.app

    module, _, name = application["import_path"].partition(":")
    assert (module, getattr(deployments.app, name)) == ("deployments.app", deployments.app.application)
    assert application["name"] == deployments.app.APPLICATION_NAME


def test_the_arguments_of_a_config_file_are_checked() -> None:
    import deployments.app

    assert deployments.app.application({"encoder": "hash"}) is not None
    with pytest.raises(ValidationError):
        deployments.app.application({"encodr": "hash"})
