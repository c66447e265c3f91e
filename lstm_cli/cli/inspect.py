"""``lstm inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from .loading import load_model
from .options import ModelOptions, with_options


@with_options(ModelOptions)
def inspect(
    options: ModelOptions,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Show this layer alone. Repeatable.", metavar="ADDRESS"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same facts as JSON.")] = False,
) -> None:
    """What is in a model file: who wrote it, its layers, and all that had to be assumed.

    Example: lstm inspect sample_models/three_steps.keras
    """
    from .. import inspect as facts_of

    model = load_model(options)
    facts = facts_of(model)
    if layer:
        chosen = {model.find(name).address for name in layer}
        facts["layers"] = [entry for entry in facts["layers"] if entry["address"] in chosen]
    if json:
        from json import dumps

        typer.echo(dumps(facts, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from ..outputs.inspection import inspect_table
    from .showing import terminal_size

    Console(highlight=False).print(inspect_table(facts, terminal_size()[0]))
