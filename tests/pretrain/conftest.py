from __future__ import annotations

from pathlib import Path

import pytest

from trainings import corpus


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus of three sources."""
    return corpus(tmp_path_factory.mktemp("texts") / "own")
