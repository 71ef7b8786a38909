"""What is said where memory does not suffice."""

from __future__ import annotations

import pytest

from assay.errors import WorkError
from assay.models.decoder import proxy
from assay.train.memory import told_of_weights


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("could not create a primitive")])
def test_weights_that_do_not_fit_are_told_with_what_they_take(error: Exception) -> None:
    config = proxy(1000, 2, 64, 2)
    n = config.n_parameters()[1]
    with pytest.raises(WorkError, match=rf"{n:,} parameters .* take {n * 16 / 1e9:.1f} GB"), told_of_weights(config):
        raise error


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="shapes"), told_of_weights(proxy(1000, 2, 64, 2)):
        raise RuntimeError("shapes do not fit")
