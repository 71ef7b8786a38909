"""`assay explore`: folders -> the page, on a port of this machine, until it is told to stop."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assay import __version__
from assay.errors import InputError
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
    roots = list(folders) or [Path()]
    for root in roots:
        if not root.is_dir():
            raise InputError("is not a folder", where=root, remedy="name folders that works were written to")
    keys = Keys(new_secret())
    with contextlib.closing(running.listening(host, port)) as listener:
        from assay.explore.app import app  # after what can be refused at once: it takes a few seconds

        served = app(roots, keys, language)
        address = running.address(listener)
        url = address + keys.link()
        lines = [say("explore.told.listens", language, url=url), say("explore.told.stop", language)]
        if not running.is_loopback(host):
            lines.insert(1, say("explore.told.open", language))
        body = {"url": url, "address": address, "folders": [str(root) for root in roots]}
        tell({**body, "lines": lines, "assay_version": __version__, "fingerprint": fingerprint(body["folders"])})
        if browser and _has_display():
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        running.run(served, listener, drain=DRAIN)


def _has_display() -> bool:
    """Whether a browser with windows can open; one in the terminal would take it over."""
    return sys.platform in ("darwin", "win32") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))
