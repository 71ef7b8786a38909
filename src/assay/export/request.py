"""What a person asked `assay export` for."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from assay.errors import InputError
from assay.export import ctranslate, gguf_file, hugging_face
from assay.export.judging import Data
from assay.export.source import Source, weights_of
from assay.models import quantized
from assay.store import fingerprint

TYPES = {
    "hf": ("float32", "float16", "bfloat16"),
    "onnx": ("float32", "float16", "int8"),
    "ctranslate2": ("float32", "float16", "bfloat16", "int8"),
    "gguf": ("float32", "float16", "bfloat16", "int8"),
}
"""What each format can hold."""
VERSION = 1  # raised when the same model would be exported to other files


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        target, dtype: the format, and the type of the weights.
        out: new folder.
        data: what scores of both are found on; None: nothing.
        measure: whether memory and latency are measured.
        licence: under which the export is given away; None: nobody says.
        threads: of each product, where latency is measured.
    """

    model: Path
    target: str
    out: Path
    dtype: str = "float32"
    data: Data | None = None
    measure: bool = True
    licence: str | None = None
    language: str = "en"
    threads: int = 1

    def check(self) -> None:
        """Raises InputError: the format has no such type, or its library is not installed."""
        known = TYPES[self.target]
        if self.dtype not in known:
            raise InputError(
                f"{self.target} is not written with weights of {self.dtype}", where="--dtype",
                remedy=f"give one of {', '.join(known)}",
            )  # fmt: skip
        modules = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "ctranslate2": ("ctranslate2",), "gguf": ("gguf",)}
        for module in modules.get(self.target, ()):
            if importlib.util.find_spec(module) is None:
                raise InputError(
                    f"{self.target} is written by {module}, which is not installed", where="--to",
                    remedy=f'pip install "assay[{self.target}]"',
                )  # fmt: skip

    def refuse(self, source: Source) -> None:
        """Raises InputError: the format has no part for this model."""
        quantized.refuse(source.model, source.folder)
        asked = {"hf": hugging_face.refusals, "ctranslate2": ctranslate.refusals, "gguf": gguf_file.refusals}
        why = next(asked[self.target](source), None) if self.target in asked else None
        if why is not None:
            raise InputError(why, where=source.folder, remedy="export it to onnx, which takes every family")

    def identity(self, source: Source) -> str:
        """What makes it this export and no other."""
        asked: dict[str, Any] = asdict(replace(self, model=Path(), out=Path(), language=""))
        told = {key: str(value) for key, value in asked.items() if key not in ("model", "out", "language")}
        return fingerprint([VERSION, told, weights_of(source.folder), source.stated, source.stated_json()])
