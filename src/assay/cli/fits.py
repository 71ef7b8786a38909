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


@law.command("fit")
def law_fit(
    tables: Annotated[list[Path], typer.Argument(help="A CSV with a row a run, or folders of finished studies.")],
    n: Annotated[str | None, typer.Option("--n", help="Column of parameters.")] = None,
    d: Annotated[str | None, typer.Option("--d", help="Column of training tokens.")] = None,
    loss: Annotated[str | None, typer.Option(help="Column of the loss: nats or bits, any one.")] = None,
    unique: Annotated[
        str | None, typer.Option(help="Column of unique tokens, where text was repeated: fits what an epoch is worth.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column that names what belongs together: a trunk, a seed. Drawn whole.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Column that names groups; each gets a law of its own.")] = None,
    holdout: Annotated[
        str | None, typer.Option(help="Rows to predict instead of fitting, as a condition: 'N > 2e9'.")
    ] = None,
    leave_out_worst: Annotated[
        int | None,
        typer.Option(
            help="Leave out so many runs of the highest loss. Default: runs beyond 5 standard deviations, told."
        ),
    ] = None,
    tied: Annotated[bool, typer.Option("--tied", help="One exponent for both terms.")] = False,
    floor: Annotated[float | None, typer.Option(help="The loss that no model falls below, where it is known.")] = None,
    predict: Annotated[list[str] | None, typer.Option(help="A run to predict: N=7e9,D=1.4e12. Repeatable.")] = None,
    target: Annotated[float | None, typer.Option(help="A loss: how many tokens does it need?")] = None,
    at: Annotated[float | None, typer.Option(help="Parameters of the model for --target; default the largest.")] = None,
    flops: Annotated[float | None, typer.Option(help="A budget of training FLOPs: which N and D are best?")] = None,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.9,
    draws: Annotated[int, typer.Option(help="Bootstrap draws.")] = 500,
    out: Annotated[
        Path | None, typer.Option(help="New or empty folder for a page and the whole answer as JSON.")
    ] = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Fit L = E + A N^-alpha + B D^-beta to a table of runs, and say what follows and how far it can be trusted.

    \b
    Examples:
      assay law fit runs.csv --n N --d D --loss loss
      assay law fit runs.csv --n N --d D --loss loss --holdout "N * D > 1e20" --tied
      assay law fit runs.csv --n N --d D --loss loss --flops 1e23 --predict N=7e9,D=2e12
      assay law fit runs.csv --d tokens --loss bpb --target 0.9
      assay law fit study/ --target 2.1 --out law
    """
    from assay import front

    front.law_fit(
        asked={
            "tables": tables, "n": n, "d": d, "loss": loss, "unique": unique, "cluster": cluster, "group": group,
            "holdout": holdout, "leave_out": leave_out_worst, "tied": tied, "floor": floor,
            "predictions": tuple(predict or ()), "target": target, "at": at, "flops": flops, "level": level,
            "draws": draws,
        },
        out=out, language=lang, as_json=json_,
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
    out: Annotated[Path | None, typer.Option(help="Folder for a page of it and all numbers.")] = None,
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
      assay mixture fit --mixtures x.csv --losses y.csv --natural uniform --out mixture --lang zh
    """
    from assay import front

    front.mixture_fit(
        tables=(mixtures, losses), test=(test_mixtures, test_losses), target=target, natural=natural, key=key,
        caps=cap or [], kl=kl, level=level, out=out, language=lang, as_json=json_,
    )  # fmt: skip
