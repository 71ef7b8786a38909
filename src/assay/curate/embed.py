"""Texts -> vectors of an encoder, such that texts that say the same have vectors of much the same direction.

    text -> tokens -> windows of the model's length, spread evenly over the text, each between [CLS] and [SEP]
         -> final states -> their mean over all tokens of all windows (or of the [CLS] states) -> length one

A model is a directory as Hugging Face and sentence-transformers lay it out, of an encoder. What it was trained on is
for whoever gives it to know: MiniLM is English, and of Chinese it sees single characters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from assay.corpus import documents
from assay.corpus.text import characters as ch
from assay.curate.perplexity import batched
from assay.errors import InputError
from assay.models import attention, interop
from assay.models.encoder import Encoder as EncoderModel
from assay.store import whole_file
from assay.tokens.tokenizer import Encoder

F32 = npt.NDArray[np.float32]
WINDOWS = 4
"""Of a document that is longer than the model's window, at most so many are read."""
MOST_TOKENS = 512  # of a window
FILES = (
    "special_tokens_map.json", "tokenizer_config.json", "sentence_bert_config.json", "modules.json",
    "1_Pooling/config.json",
)  # fmt: skip
"""Of a directory, beside its config, weights and tokenizer, that say how vectors are made."""
_PLACES = 8192  # tokens of a batch, with its filling
_TEXTS_BYTES = 1 << 17
_KNOWN = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class Embedder:
    """An encoder that makes vectors of texts.

    Attributes:
        before, after: ids that stand around a window.
        window: tokens of it, these among them.
        first: the state of the first token is taken, not the mean of all.
    """

    model: EncoderModel
    encoder: Encoder
    before: tuple[int, ...]
    after: tuple[int, ...]
    window: int
    first: bool

    @classmethod
    def load(cls, folder: Path) -> Embedder:
        """The encoder of a directory.

        Raises:
            InputError: there is none, it is no encoder, or has parts that are not known here.
        """
        model = interop.load(folder)
        if not isinstance(model, EncoderModel):
            remedy = "name an encoder's directory, such as all-MiniLM-L6-v2's"
            raise InputError("makes no vectors of texts: it is no encoder", where=folder, remedy=remedy)
        encoder = Encoder.load(folder)
        if model.config.vocabulary < encoder.vocabulary:
            what = f"the tokenizer has {encoder.vocabulary} ids, and the model {model.config.vocabulary}"
            raise InputError(what, where=folder, remedy="give a whole model directory")
        before, after = (_special(folder, encoder, names) for names in (("cls", "bos"), ("sep", "eos")))
        stated = _json(folder / "sentence_bert_config.json").get("max_seq_length")
        window = min(model.config.max_length, stated if isinstance(stated, int) else MOST_TOKENS)
        if window <= len(before) + len(after):
            raise InputError(f"windows of {window} tokens hold no text", where=folder, remedy="give another model")
        return cls(model, encoder, before, after, window, _takes_first(folder))

    @property
    def width(self) -> int:
        return self.model.config.width

    def vectors(self, texts: Sequence[str], windows: int = WINDOWS, device: str = "cpu") -> F32:
        """(texts, width), of length one; zero where there is no token.

        Args:
            windows: of a text, at most.
        """
        ids, offsets = self.encoder.encode(texts)
        owner, pieces = [], []
        for i, (begin, end) in enumerate(pairwise(offsets.tolist())):
            for piece in self._windows(ids[begin:end], windows):
                owner.append(i)
                pieces.append(piece)
        total = np.zeros((len(texts), self.width), dtype=np.float64)
        sizes = np.array([len(piece) for piece in pieces])
        self.model.to(device)
        for rows in _batches(sizes):
            found = self._states([pieces[i] for i in rows], device)
            np.add.at(total, [owner[i] for i in rows], found)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return np.divide(total, length, out=np.zeros_like(total), where=length > 0).astype(np.float32)

    def _windows(self, ids: np.ndarray, most: int) -> Iterator[np.ndarray]:
        room = self.window - len(self.before) - len(self.after)
        count = max(1, min(most, -(-len(ids) // room)))
        for begin in np.linspace(0, max(0, len(ids) - room), count).round().astype(int):
            piece = np.array([*self.before, *ids[begin : begin + room], *self.after], dtype=np.int64)
            if len(piece):
                yield piece

    @torch.inference_mode()
    def _states(self, pieces: list[np.ndarray], device: str) -> np.ndarray:
        """(pieces, width) the sum of the states of each, or that of its first token."""
        longest = max(map(len, pieces))
        ids = np.zeros((len(pieces), longest), dtype=np.int64)
        inside = np.zeros(ids.shape, dtype=bool)
        for i, piece in enumerate(pieces):
            ids[i, : len(piece)], inside[i, : len(piece)] = piece, True
        segments = torch.from_numpy(np.where(inside, 0, attention.PADDING)).to(device)
        states = self.model.hidden(torch.from_numpy(ids).to(device), segments)
        kept = states[:, 0] if self.first else (states * torch.from_numpy(inside).to(device)[..., None]).sum(dim=1)
        return np.asarray(kept.double().cpu().numpy())


def _batches(sizes: np.ndarray) -> Iterator[list[int]]:
    """Windows of much the same length together."""
    rows: list[int] = []
    for i in np.argsort(-sizes, kind="stable").tolist():
        if rows and (len(rows) + 1) * int(sizes[rows[0]]) > _PLACES:
            yield rows
            rows = []
        rows.append(i)
    if rows:
        yield rows


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _special(folder: Path, encoder: Encoder, roles: Sequence[str]) -> tuple[int, ...]:
    """The id of the first of these roles that the tokenizer's files name a token for."""
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        stated = _json(folder / name)
        for role in roles:
            token = stated.get(f"{role}_token")
            token = token.get("content") if isinstance(token, dict) else token
            if token in encoder.special:
                return (encoder.special[token],)
    return ()


def _takes_first(folder: Path) -> bool:
    """Whether vectors are the first token's states, as the directory says; the mean of all where it says nothing.

    Raises:
        InputError: it says something else.
    """
    modules = folder / "modules.json"
    try:
        stated = json.loads(modules.read_text(encoding="utf-8")) if modules.is_file() else []
        kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in stated]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError("cannot be read", where=modules, remedy="give a whole model directory") from error
    if unknown := [kind for kind in kinds if kind not in _KNOWN]:
        what = f"has a layer that is not known here ({unknown[0]})"
        raise InputError(what, where=modules, remedy="give a model of an encoder and pooling alone")
    pooling = folder / "1_Pooling" / "config.json"
    modes = {name for name, on in _json(pooling).items() if name.startswith("pooling_mode_") and on is True}
    if modes - {"pooling_mode_cls_token", "pooling_mode_mean_tokens"} or len(modes) > 1:
        what = f"pools as {', '.join(sorted(modes))}"
        raise InputError(what, where=pooling, remedy="give a model that takes the mean, or the first token")
    return "pooling_mode_cls_token" in modes


@lru_cache(maxsize=1)
def opened(folder: Path, fingerprint: str) -> Embedder:
    """The model of a folder, whose files have this fingerprint."""
    del fingerprint
    return Embedder.load(folder)


def embed_group(
    part: Path,
    target: Path,
    threads: int,
    *,
    folder: Path,
    fingerprint: str,
    windows: int,
    device: str,
    tell: Callable[[float], None],
) -> dict[str, Any]:
    """Write the vectors of the documents of one row group, in their order, as NumPy's own file of 16-bit numbers: the
    rounding changes a cosine by some hundred-thousandths."""
    del threads
    model = opened(folder, fingerprint)
    texts = documents.read_group(part, target, ["text"]).column("text").to_pylist()
    made, done = [np.zeros((0, model.width), dtype=np.float32)], 0.0
    for some in batched(texts, _TEXTS_BYTES):
        made.append(model.vectors(some, windows, device))
        done += sum(map(len, some))
        tell(done)
    with whole_file(target) as path, path.open("wb") as file:
        np.save(file, np.concatenate(made).astype(np.float16), allow_pickle=False)
    return {"documents": len(texts)}


class Vectors:
    """The vectors of all documents, on disk, in the documents' order."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._parts = [np.load(part, mmap_mode="r", allow_pickle=False) for part in parts]
        self._ends = np.cumsum([len(part) for part in self._parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def width(self) -> int:
        return int(self._parts[0].shape[1])

    def of(self, rows: ch.I64) -> F32:
        """(rows, width) float32, of length one; zero where there was no token."""
        made = np.empty((len(rows), self.width), dtype=np.float32)
        part = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(part).tolist():
            own = np.flatnonzero(part == number)
            begin = self._ends[number] - len(self._parts[number])
            made[own] = self._parts[number][rows[own] - begin]
        length = np.linalg.norm(made, axis=1, keepdims=True)
        return np.divide(made, length, out=made, where=length > 0)
