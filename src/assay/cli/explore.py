"""`assay explore`: a page over what lies in some folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import Debug, Json, Lang


def explore(
    workspaces: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders to look through, a few levels deep; the current one when none is given."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Look at studies, runs, documents, mixtures and models, on a page of this machine.

    \b
    Examples:
      assay explore                            what lies in this folder and below
      assay explore study/ corpus/ model/      several folders
      assay explore runs/ --lang zh            in Chinese
      assay explore --no-browser --port 8300   prints the link that opens it, once
    """
    from assay import front

    front.explore(folders=workspaces or [], host=host, port=port, browser=browser, language=lang, as_json=json_)
