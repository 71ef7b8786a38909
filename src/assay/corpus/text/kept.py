"""Tables that take long to make, kept in the user's cache folder as plain arrays."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from assay.errors import AssayError
from assay.machine import cache_folder
from assay.store import fingerprint, write_atomic

Arrays = Mapping[str, npt.NDArray[Any]]


def kept(name: str, made_from: Any, make: Callable[[], Arrays]) -> Arrays:
    """What `make` makes; found where it was made before, by any process.

    Args:
        name: of the file, in part.
        made_from: everything that the result depends on (a JSON value), the version of `make` among it.
    """
    path = cache_folder() / f"{name}-{fingerprint(made_from)}.npz"
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):  # not there, or damaged
        made = make()
    content = io.BytesIO()
    np.savez(content, **dict[str, Any](made))
    with contextlib.suppress(OSError, AssayError):  # a folder that cannot be written: the next process makes it again
        write_atomic(path, content.getvalue())
    return made
