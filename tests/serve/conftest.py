"""One server of all kinds of models for all tests of this folder that change nothing about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

from served import Served, directories, serving


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return directories(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def served(models: dict[str, Path]) -> Iterator[Served]:
    with serving(models) as found:
        yield found
