"""The explorer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assay.front.printing import printed


def explore(*, folders: list[Path], host: str, port: int, browser: bool, language: str, as_json: bool) -> None:
    """`assay explore`."""
    from assay.explore import verb

    def tell(said: dict[str, Any]) -> None:
        lines = said.pop("lines")
        printed(*([json.dumps(said, ensure_ascii=False)] if as_json else lines))

    verb.explore(folders, host, port, browser=browser, language=language, tell=tell)
