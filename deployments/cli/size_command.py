"""size."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Final

import typer

from deployments.cli import output
from deployments.cli.options import JsonOption
from memory_core.errors import InvalidInput

_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)(%?)")


def size(
    memories: Annotated[int, typer.Option(min=1, help="Memories in all.")],
    active: Annotated[str, typer.Option(help="Share of them in RAM at a time: 2% or 0.02.")] = "2%",
    dim: Annotated[int, typer.Option(min=8, help="Numbers in a key.")] = 384,
    obs_per_s: Annotated[float, typer.Option(min=0, help="Observations a second, in all.")] = 0.0,
    questions_per_s: Annotated[float, typer.Option(min=0, help="Questions a second, in all.")] = 0.0,
    batch: Annotated[int, typer.Option(min=1, help="Observations in a request.")] = 64,
    encoder: Annotated[str, typer.Option(help="minilm, static or hash.")] = "static",
    node_cores: Annotated[int, typer.Option(min=1, help="Cores of a node.")] = 16,
    node_ram_gib: Annotated[float, typer.Option(min=1, help="RAM of a node.")] = 128.0,
    node_gpus: Annotated[int, typer.Option(min=0, help="GPUs of a node that memories live on.")] = 0,
    gpu_gib: Annotated[float, typer.Option(min=0, help="Memory of a GPU.")] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Say what a plan needs: nodes, GPUs, RAM, requests to the object store. From measured costs; starts nothing."""
    from cluster.sizing import Load, NodeKind
    from cluster.sizing import size as sized

    load = Load(
        memories=memories,
        active_share=_share(active),
        dim=dim,
        obs_per_s=obs_per_s,
        questions_per_s=questions_per_s,
        texts_per_request=batch,
        encoder=encoder,
    )
    node = NodeKind(cores=node_cores, ram_gib=node_ram_gib, gpus=node_gpus, gpu_gib=gpu_gib)
    found = sized(load, node)
    if as_json:
        output.print_json({"figures": asdict(found), "load": asdict(load), "node": asdict(node)})
    else:
        output.print_fields(found)
        output.err.print(
            "Costs were measured on cores of 2.5 GHz: docs/sizing.md says which, and what is not modelled."
        )


def _share(raw: str) -> float:
    found = _SHARE.fullmatch(raw)
    if found is None:
        raise InvalidInput(f"The share {ascii(raw[:16])} does not fit.", hint="Write 2% or 0.02.")
    return float(found[1]) / (100 if found[2] else 1)
