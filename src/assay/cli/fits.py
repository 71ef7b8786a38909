"""`assay law` and `assay mixture`: what follows from tables of runs."""

from __future__ import annotations

import typer

law = typer.Typer(help="How the loss falls with parameters and data, from any table of runs.", no_args_is_help=True)
mixture = typer.Typer(help="Loss as a function of the mixture of sources, and the best mixture.", no_args_is_help=True)
