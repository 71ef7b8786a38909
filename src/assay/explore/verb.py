"""`assay explore`: folders -> the page, on a port of this machine, until it is told to stop."""

from __future__ import annotations

import contextlib
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assay import __version__
from assay.present.words import say
from assay.store import fingerprint
from assay.web import running
from assay.web.keys import Keys, new_secret

DRAIN = 2.0  # seconds that questions have to end in


def explore(
    folders: Sequence[Path],
    host: str,
    port: int,
    *,
    browser: bool,
    language: str,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        tell: is called once it listens: `url` opens the page, once; `lines` say so to a person.

    Raises:
        InputError: a folder is none, the port is in use, or what serves is not installed.
    """
    running.check_installed()
    from assay.explore.app import app

    roots = list(folders) or [Path()]
    keys = Keys(new_secret())
    listener = running.listening(host, port)
    with contextlib.closing(listener):
        served = app(roots, keys, language)
        address = running.address(listener)
        url = address + keys.link()
        lines = [say("explore.told.listens", language, url=url), say("explore.told.stop", language)]
        if not running.is_loopback(host):
            lines.insert(1, say("explore.told.open", language))
        body = {"url": url, "address": address, "folders": [str(root) for root in roots]}
        tell({**body, "lines": lines, "assay_version": __version__, "fingerprint": fingerprint(body["folders"])})
        if browser:
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(url)
        running.run(served, listener, drain=DRAIN)
