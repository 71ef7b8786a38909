"""Answers on standard output, and the command as it was typed."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from assay import __version__
from assay.store import disk_errors, fingerprint


def printed(*lines: str) -> None:
    """Print to standard output, which may be a file on a full disk."""
    with disk_errors(Path("standard output")):
        print(*lines, sep="\n", flush=True)


def explained(rows: list[tuple[str, object, str]], as_json: bool) -> None:
    if as_json:
        values = [{"key": key, "value": value, "why": why} for key, value, why in rows]
        answer = {"values": values, "assay_version": __version__, "fingerprint": fingerprint(values)}
        printed(json.dumps(answer, ensure_ascii=False))
        return
    printed(*(f"{key} = {value}\n    {why}" for key, value, why in rows))


def command() -> str:
    """The command as typed, for another time."""
    return shlex.join(["assay", *sys.argv[1:]])
