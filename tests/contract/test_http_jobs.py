"""Jobs over HTTP: who may start which, what is told of them, and that no source is read but those allowed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.access.audit import AuditTrail
from deployments.access.authentication import KeyDoor
from deployments.access.authorized_backend import AuthorizedBackend
from deployments.access.authorized_jobs import AuthorizedJobs
from deployments.access.key_shelf import KeyShelf
from deployments.access.principal import Limits
from deployments.client import AsyncClient
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.job_request import House
from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import NotFound
from memory_core.ids import EncoderId, MemoryName
from memory_core.jobs.plan import JobId, JobPlan
from memory_core.jobs.progress import JobInfo
from memory_core.jobs.record import JobShelf
from memory_core.jobs.run import local_stream, run_job
from memory_core.local_backend import LocalBackend
from memory_core.storage.local_store import LocalStore

HASH = EncoderId("hash")
SMALL = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}
ALL = frozenset({"observe", "infer", "admin"})


class LocalDesk:
    """Jobs that run in this process when a test says so."""

    def __init__(self, store: LocalStore) -> None:
        self.shelf, self._store = JobShelf(store), store

    async def submit(self, plan: JobPlan) -> JobInfo:
        return self.shelf.info(self.shelf.accept(plan).job_id)

    async def start(self, job: JobId) -> JobInfo:
        return self.shelf.info(job)

    async def cancel(self, job: JobId) -> JobInfo:
        self.shelf.cancel(job)
        return self.shelf.info(job)

    async def page(self, limit: int, cursor: str | None) -> tuple[list[JobPlan], str | None]:
        return self.shelf.page(limit, cursor)

    async def plan(self, job: JobId) -> JobPlan:
        return self.shelf.plan(job)

    async def info(self, job: JobId) -> JobInfo:
        return self.shelf.info(job)

    def rejects(self, job: JobId) -> Any:
        return self.shelf.rejects(job)

    async def run(self, job: str) -> JobInfo:
        stream = local_stream(HashEncoder())
        return await run_job(self.shelf, JobId(job), lambda keys: LocalBackend(self._store, keys), stream)


class Service:
    """A service with keys whose jobs may read one folder."""

    def __init__(self, folder: Path) -> None:
        self.corpus = folder / "corpus"
        self.corpus.mkdir()
        store = LocalStore(folder / "volume")
        self.keys, self.desk, self.audit = KeyShelf(store), LocalDesk(store), AuditTrail(store)
        self.encoders = LocalEncoderPool()
        self.inner = LocalBackend(store, self.encoders)
        backend = AuthorizedBackend(self.inner, self.audit, self._pid)
        house = House(backend=backend, encoders=self.encoders, encoder=HASH, defaults=SMALL)
        allowed = (f"file://{self.corpus}/",)
        self.app = build_api(
            Services(
                backend=backend,
                encoders=self.encoders,
                encoder=HASH,
                readiness=Readiness(backend=self.inner, encoders=self.encoders, encoder=HASH),
                max_body_bytes=1024 * 1024,
                owner_pid=self._pid,
                authenticator=KeyDoor(self.keys.find),
                jobs=AuthorizedJobs(self.desk, house, allowed=allowed, audit=self.audit),
            )
        )

    async def _pid(self, name: MemoryName) -> int:
        raise NotImplementedError

    def write(self, name: str, *rows: Any) -> str:
        (self.corpus / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(self.corpus / name)

    def key(self, **rights: Any) -> str:
        return self.keys.create(**{"scopes": ALL, **rights})[0]

    def client(self, **rights: Any) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key(**rights)}"}
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    opened = Service(tmp_path)
    yield opened
    await opened.inner.close()
    opened.encoders.close()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_job_is_accepted_told_of_and_teaches(service: Service) -> None:
    source = service.write("a.jsonl", {"text": "Glass is made of sand."}, {"no": "text"}, {"text": "Tea is a leaf."})
    async with service.client() as client:
        accepted = await client.post("/v1/jobs", json={"source": source, "memory": "team", "create": True})
        assert accepted.status_code == 202
        job = accepted.json()["job"]
        assert accepted.headers["location"] == f"/v1/jobs/{job}"
        assert accepted.json()["status"] == "pending"
        await service.desk.run(job)
        found = (await client.get(f"/v1/jobs/{job}")).json()
        assert (found["status"], found["items"], found["learned"], found["rejected"]) == ("succeeded", 3, 2, 1)
        assert found["failures"][0]["line"] == 2
        rejects = (await client.get(f"/v1/jobs/{job}/rejects")).text
        assert json.loads(rejects)["reason"] == "the row has no field 'text'"
        assert [one["job"] for one in (await client.get("/v1/jobs")).json()["jobs"]] == [job]
        assert (await client.get("/v1/memories/team")).json()["observation_count"] == 2
        metrics = (await client.get("/metrics")).text
        assert 'neural_memory_jobs{status="succeeded"} 1.0' in metrics
    (entry,) = [one for one in service.audit.entries() if one.action == "job"]
    assert entry.memory == "team"


@pytest.mark.parametrize("source", ["/etc/passwd", "file:///etc/hosts", "http://169.254.169.254/latest", "../a.txt"])
async def test_sources_that_the_operator_does_not_allow_are_not_read(service: Service, source: str) -> None:
    async with service.client() as client:
        answer = await client.post("/v1/jobs", json={"source": source, "memory": "team", "create": True})
    assert code(answer) == (403, "SOURCE_NOT_ALLOWED")


async def test_a_wrong_request_starts_nothing(service: Service) -> None:
    source = service.write("a.csv", "ignored")
    sound = service.write("a.jsonl", {"text": "One."})
    wrong = [
        ({"source": sound, "memory": "team"}, (404, "MEMORY_NOT_FOUND")),
        ({"source": sound}, (422, "INVALID_INPUT")),
        ({"source": source, "memory": "team", "create": True, "split": "word"}, (422, "INVALID_INPUT")),
        ({"source": str(service.corpus / "*.md"), "memory": "team"}, (404, "SOURCE_NOT_FOUND")),
        ({"source": source, "memory": "team", "create": True}, (422, "FIELD_MISSING")),
    ]
    async with service.client() as client:
        for body, expected in wrong:
            assert code(await client.post("/v1/jobs", json=body)) == expected
        assert (await client.get("/v1/jobs")).json()["jobs"] == []
        assert code(await client.get("/v1/jobs/unknown")) == (404, "JOB_NOT_FOUND")


async def test_tenants_and_keys_see_only_their_jobs_and_teach_only_their_memories(service: Service) -> None:
    source = service.write("a.jsonl", {"text": "One.", "m": "team-a"}, {"text": "Two.", "m": "other"})
    async with (
        service.client(tenant="acme") as acme,
        service.client() as others,
        service.client(memories=("team-*",)) as team,
    ):
        body = {"source": source, "memory_field": "m", "create": True}
        first = (await acme.post("/v1/jobs", json=body)).json()["job"]
        second = (await team.post("/v1/jobs", json=body)).json()["job"]
        assert code(await others.get(f"/v1/jobs/{first}")) == (404, "JOB_NOT_FOUND")
        assert code(await acme.post(f"/v1/jobs/{second}/cancel")) == (404, "JOB_NOT_FOUND")
        assert [one["job"] for one in (await acme.get("/v1/jobs")).json()["jobs"]] == [first]
        assert [one["job"] for one in (await team.get("/v1/jobs")).json()["jobs"]] == [second]
        await service.desk.run(first)
        await service.desk.run(second)
        assert (await acme.get("/v1/memories/other")).json()["observation_count"] == 1
        assert (await others.get("/v1/memories/team-a")).json()["observation_count"] == 1
        assert code(await others.get("/v1/memories/other"))[0] == 404
        assert (await team.get(f"/v1/jobs/{second}")).json()["failures"][0]["line"] == 2


async def test_rights_and_limits_hold_for_jobs(service: Service) -> None:
    source = service.write("a.jsonl", {"text": "One."})
    body = {"source": source, "memory": "team", "create": True}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"scopes": frozenset({"infer"})}, "SCOPE_MISSING"),
        ({"scopes": frozenset({"observe"})}, "SCOPE_MISSING"),
        ({"limits": Limits(observations_per_s=1.0)}, "JOB_NOT_ALLOWED"),
    ]
    for rights, expected in cases:
        async with service.client(**rights) as client:
            assert code(await client.post("/v1/jobs", json=body)) == (403, expected)


async def test_the_client_submits_follows_and_cancels(service: Service) -> None:
    source = service.write("a.jsonl", {"text": "One."})
    transport = httpx.ASGITransport(app=service.app)
    async with AsyncClient("http://127.0.0.1", api_key=service.key(), transport=transport) as client:
        job = await client.submit_job(source, memory="team", create=True)
        assert (await client.job(job.job)).status == "pending"
        assert (await client.cancel_job(job.job)).status == "cancelled"
        assert (await client.resume_job(job.job)).job == job.job
        assert [one.job async for one in client.jobs()] == [job.job]
        with pytest.raises(NotFound):
            await client.job("unknown")
