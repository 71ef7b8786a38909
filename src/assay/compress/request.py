"""What a person asked `assay compress` for, and what makes it this one and no other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from assay.compress.calibration import Calibration
from assay.compress.pruning import Sparsity
from assay.export.judging import Data
from assay.export.source import Source, weights_of
from assay.models.quantized import Quantization
from assay.store import fingerprint

RESULT = "compress.json"
VERSION = 1  # raised when the same model would be compressed to other files


@dataclass(frozen=True)
class Parts:
    """How many parts of each kind stay (`cutting`); None: all."""

    layers: int | None = None
    heads: int | None = None
    width: int | None = None


Way = Quantization | Sparsity | Parts


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        way: what is done to the model.
        out: new folder.
        calibration: what the model is shown meanwhile; None: nothing.
        data: what it is judged on before and after; None: nothing.
        measure: whether memory and latency are measured.
        threads: of each product, where latency is measured.
    """

    model: Path
    way: Way
    out: Path
    calibration: Calibration | None = None
    data: Data | None = None
    measure: bool = True
    threads: int = 1
    language: str = "en"

    def identity(self, source: Source) -> str:
        """What makes it this compression and no other."""
        told = {
            "way": type(self.way).__name__, **asdict(self.way), "measure": self.measure, "threads": self.threads,
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "data": None if self.data is None else asdict(self.data),
        }  # fmt: skip
        return fingerprint([VERSION, told, weights_of(source.folder), source.stated])
