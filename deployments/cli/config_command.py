"""config."""

from __future__ import annotations

from deployments.cli import output
from deployments.cli.options import JsonOption


def config(as_json: JsonOption = False) -> None:
    """Show every setting: its variable, its value here, where that comes from. Secrets are masked."""
    from deployments.cli.service_commands import chosen_settings
    from deployments.settings_table import setting_rows

    rows = setting_rows(chosen_settings())
    if as_json:
        output.print_json({"settings": rows})
    else:
        output.print_rows(rows, ("variable", "value", "source", "default"), "")
