"""keys create, list, revoke, rotate, audit. They work on the volume itself, so they need no running service."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deployments.cli import output
from deployments.cli.options import JsonOption
from memory_core.errors import InvalidInput
from memory_core.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from deployments.access.api_keys import KeyRecord
    from deployments.access.key_shelf import KeyShelf

keys_app: Final = typer.Typer(help="Who may call the service.", no_args_is_help=True)

_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLUMNS: Final = ("key", "tenant", "scopes", "memories", "created_at", "expires_at", "revoked_at")

StorageOption = Annotated[
    str | None, typer.Option("--storage", help="Folder or storage URL.", show_default="~/.neural-memory/volume")
]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The visible part, as keys list shows it.")]


@keys_app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose memories; tenants do not see each other.")] = "default",
    scopes: Annotated[str, typer.Option(help="observe, infer, admin; with commas.")] = "observe,infer",
    memories: Annotated[str, typer.Option(help="Names it is for, such as 'team-*'; with commas.")] = "*",
    expires: Annotated[str | None, typer.Option(help="Such as 90d or 12h.", show_default="never")] = None,
    observations_per_s: Annotated[float | None, typer.Option(min=0.001, help="Rate, per ingress replica.")] = None,
    memories_max: Annotated[int | None, typer.Option(min=0, help="Memories it may have.")] = None,
    bytes_per_day: Annotated[int | None, typer.Option(min=1, help="Text it may send, per ingress replica.")] = None,
    trust: Annotated[str, typer.Option(help="trusted, or untrusted: what it observes waits to be let in.")] = "trusted",
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once; the volume keeps a hash."""
    from deployments.access.principal import Limits, parse_globs, parse_scopes, parse_tenant, parse_trust

    key, record = _shelf(storage).create(
        tenant=parse_tenant(tenant),
        scopes=parse_scopes(scopes),
        memories=parse_globs(memories),
        expires=None if expires is None else parse_span(expires),
        limits=Limits(observations_per_s=observations_per_s, memories=memories_max, bytes_per_day=bytes_per_day),
        is_trusted=parse_trust(trust),
    )
    _print_new(key, record, as_json)


@keys_app.command()
def mint() -> None:
    """Print a key that is kept nowhere: the NEURAL_MEMORY_API_KEY of a service to come."""
    from deployments.access.api_keys import mint as mint_key

    output.out.print(mint_key()[0], markup=False, soft_wrap=True)


@keys_app.command("list")
def list_(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the keys, without their secrets."""
    rows = [_row(record) for record in _shelf(storage).records()]
    if as_json:
        output.print_json({"keys": rows})
    else:
        output.print_rows(rows, _COLUMNS, "No keys yet.")


@keys_app.command()
def revoke(key: KeyArgument, storage: StorageOption = None) -> None:
    """End a key; every replica refuses it within a second."""
    record = _shelf(storage).revoke(_key_id(key))
    output.out.print(f"Revoked nm_{record.key_id}.")


@keys_app.command()
def rotate(
    key: KeyArgument,
    overlap: Annotated[str, typer.Option(help="How long the old key lives on, such as 1h.")] = "1h",
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key with the same rights and end the old one a little later."""
    fresh, record = _shelf(storage).rotate(_key_id(key), parse_span(overlap))
    _print_new(fresh, record, as_json)


@keys_app.command()
def audit(
    since: Annotated[str, typer.Option(help="ISO 8601 time to begin at.")] = "",
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who deleted, restored or forgot what."""
    from deployments.access.audit import AuditTrail

    rows = [asdict(entry) for entry in AuditTrail(_store(storage)).entries(since)]
    if as_json:
        output.print_json({"entries": rows})
    else:
        output.print_rows(rows, ("at", "tenant", "key_id", "action", "memory", "outcome"), "Nothing was destroyed.")


def parse_span(raw: str) -> timedelta:
    """A span such as ``90d``, ``12h``, ``30m`` or ``10s``; raises InvalidInput."""
    found = _SPAN.fullmatch(raw)
    if found is None:
        raise InvalidInput(f"The span {ascii(raw[:32])} does not fit.", hint="Write 90d, 12h, 30m or 10s.")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


@keys_app.command()
def signing(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the private key.", dir_okay=False)],
    as_json: JsonOption = False,
) -> None:
    """Make a key that signs memory files, and print the public key for TRUSTED_SIGNERS."""
    from deployments.whole_files import write_signing_key
    from memory_core.storage.signing import SigningKey

    key = SigningKey.create()
    write_signing_key(key, file)
    if as_json:
        output.print_json({"file": str(file), "public_key": key.public})
    else:
        output.out.print(key.public, markup=False, soft_wrap=True)
        output.err.print(f"{file} signs: keep it to yourself. Others trust the key above in TRUSTED_SIGNERS.")


def _key_id(raw: str) -> str:
    return raw.removeprefix("nm_").partition("_")[0]


def _shelf(storage: str | None) -> KeyShelf:
    from deployments.access.key_shelf import KeyShelf

    return KeyShelf(_store(storage))


def _store(storage: str | None) -> ObjectStore:
    from deployments.cli.service_commands import chosen_settings
    from memory_core.storage.open_store import open_store

    return open_store(chosen_settings(memory_storage_path=storage).storage_url)


def _row(record: KeyRecord) -> dict[str, Any]:
    shown = {name: value for name, value in record.to_dict().items() if name not in {"secret_sha256", "key_id"}}
    return {"key": f"nm_{record.key_id}", **shown}


def _print_new(key: str, record: KeyRecord, as_json: bool) -> None:
    if as_json:
        output.print_json({"secret_key": key, **_row(record)})
        return
    output.out.print(key, markup=False, soft_wrap=True)
    output.err.print("Keep it: it cannot be shown again. Send it as Authorization: Bearer KEY.")
