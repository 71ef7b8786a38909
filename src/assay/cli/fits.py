"""`assay law` and `assay mixture`: what follows from tables of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import Debug, Json, Lang

law = typer.Typer(help="How the loss falls with parameters and data, from any table of runs.", no_args_is_help=True)
mixture = typer.Typer(
    help="Loss as a function of the mixture of sources, and the best mixture.", no_args_is_help=True,
    epilog="Example: assay mixture fit --mixtures mixtures.csv --losses losses.csv",
)  # fmt: skip


@mixture.command("fit")
def mixture_fit(
    mixtures: Annotated[Path, typer.Option(help="CSV, a row a run: its key, then each source's share.")],
    losses: Annotated[Path, typer.Option(help="CSV, a row a run: its key, then each target's loss.")],
    test_mixtures: Annotated[
        Path | None, typer.Option(help="The same of runs to test on; nothing is chosen by them.")
    ] = None,
    test_losses: Annotated[Path | None, typer.Option(help="Their losses.")] = None,
    target: Annotated[
        str, typer.Option(help="What the best mixture is best for: a column of the losses, several as A,B, or mean.")
    ] = "mean",
    natural: Annotated[
        str | None,
        typer.Option(help="The mixture to compare with: a CSV of one row, or uniform. Default: mean of --mixtures."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Column that names the runs; default the first one.")] = None,
    cap: Annotated[list[str] | None, typer.Option(help="Greatest share of a source: SOURCE=SHARE. Repeatable.")] = None,
    kl: Annotated[
        float, typer.Option(min=0, help="Loss that one nat of divergence from the natural mixture counts as.")
    ] = 0.05,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.9,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """How the loss depends on the mixture, how well that is known, and which mixture is best.

    \b
    Examples:
      assay mixture fit --mixtures mixtures.csv --losses losses.csv
      assay mixture fit --mixtures x.csv --losses y.csv --test-mixtures x2.csv --test-losses y2.csv
      assay mixture fit --mixtures x.csv --losses y.csv --target web,code --cap books=0.1
      assay mixture fit --mixtures x.csv --losses y.csv --natural uniform --lang zh
    """
    from assay import front

    front.mixture_fit(
        tables=(mixtures, losses), test=(test_mixtures, test_losses), target=target, natural=natural, key=key,
        caps=cap or [], kl=kl, level=level, language=lang, as_json=json_,
    )  # fmt: skip
