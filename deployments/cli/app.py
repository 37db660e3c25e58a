"""The commands of ``neural-memory``."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from deployments.bench import job_commands
from deployments.bench.cli import bench_app
from deployments.cli import (
    batch_commands,
    config_command,
    demo_command,
    encoder_commands,
    expert_commands,
    family_commands,
    insight_commands,
    key_commands,
    learning_commands,
    mcp_commands,
    memory_commands,
    placement_command,
    service_commands,
    size_command,
    storage_commands,
    upkeep_commands,
    version_commands,
)

app: Final = typer.Typer(
    name="neural-memory",
    help="A memory that learns, as a service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_START: Final = "Start here"
_SERVICE: Final = "Service"
_MEMORY: Final = "Memories"
_LEARNING: Final = "Learn and ask"
_VERSIONS: Final = "Versions"


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from memory_core import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """A memory that learns, as a service."""


app.command(rich_help_panel=_START)(demo_command.demo)
app.command(rich_help_panel=_SERVICE)(service_commands.serve)
app.command(rich_help_panel=_SERVICE)(service_commands.stop)
app.command(rich_help_panel=_SERVICE)(config_command.config)
app.command(rich_help_panel=_SERVICE)(size_command.size)
app.command(rich_help_panel=_MEMORY)(memory_commands.create)
app.command("list", rich_help_panel=_MEMORY)(memory_commands.list_)
app.command(rich_help_panel=_MEMORY)(memory_commands.stats)
app.command(rich_help_panel=_MEMORY)(memory_commands.delete)
app.command(rich_help_panel=_MEMORY)(placement_command.placement)
app.command(rich_help_panel=_LEARNING)(learning_commands.observe)
app.command(rich_help_panel=_LEARNING)(learning_commands.infer)
app.command(rich_help_panel=_LEARNING)(learning_commands.surprise)
app.command(rich_help_panel=_LEARNING)(learning_commands.consolidate)
app.command("predict-next", rich_help_panel=_LEARNING)(insight_commands.predict_next)
app.command(rich_help_panel=_LEARNING)(insight_commands.explain)
app.command(rich_help_panel=_LEARNING)(insight_commands.attention)
app.command(rich_help_panel=_LEARNING)(upkeep_commands.forget)
app.command("re-encode", rich_help_panel=_MEMORY)(upkeep_commands.re_encode)
app.command(rich_help_panel=_VERSIONS)(version_commands.checkpoint)
app.command(rich_help_panel=_VERSIONS)(version_commands.checkpoints)
app.command(rich_help_panel=_VERSIONS)(version_commands.restore)
app.command(rich_help_panel=_VERSIONS)(version_commands.rollback)
app.command(rich_help_panel=_VERSIONS)(version_commands.fork)
app.command(rich_help_panel=_VERSIONS)(family_commands.family)
app.command("observe-all", rich_help_panel=_VERSIONS)(family_commands.observe_all)
app.command(rich_help_panel=_VERSIONS)(family_commands.compare)
app.command(rich_help_panel=_VERSIONS)(family_commands.promote)
app.command(rich_help_panel=_VERSIONS)(insight_commands.diff)
app.command(rich_help_panel=_VERSIONS)(insight_commands.merge)
app.add_typer(batch_commands.batch_app, name="batch", rich_help_panel=_LEARNING)
app.add_typer(mcp_commands.mcp_app, name="mcp", rich_help_panel=_SERVICE)
app.command(rich_help_panel=_MEMORY)(storage_commands.export)
app.command(rich_help_panel=_SERVICE)(storage_commands.verify)
app.command(rich_help_panel=_SERVICE)(storage_commands.gc)
app.command(rich_help_panel=_VERSIONS)(storage_commands.prune)
app.command(rich_help_panel=_VERSIONS)(storage_commands.retention)
app.command("delete-checkpoint", rich_help_panel=_VERSIONS)(version_commands.delete_checkpoint)
app.command("import", rich_help_panel=_MEMORY)(storage_commands.import_)
app.command(rich_help_panel=_MEMORY)(expert_commands.load)
app.add_typer(expert_commands.expert_app, name="expert", rich_help_panel=_MEMORY)
app.add_typer(encoder_commands.encoder_app, name="encoder", rich_help_panel=_MEMORY)
app.add_typer(key_commands.keys_app, name="keys", rich_help_panel=_SERVICE)
bench_app.command()(job_commands.batch)
bench_app.command()(job_commands.expert)
app.add_typer(bench_app, name="bench", rich_help_panel="Measure")
