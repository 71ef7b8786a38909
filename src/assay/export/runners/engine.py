"""ONNX directories, run by numpy and onnxruntime alone.

    Reader(folder).said(rows)           logits of each row, of models with a head
    Writer(folder).begin(rows)          rows that are being written -> `logits` (B, V), `step(ids_B)`, `take(rows_N)`
    best_tags(scores_WL, transitions)   the likeliest row of tags, and how likely each is

What an engine has to know stands in `export.json` under "engine". Shapes are named in suffixes, as everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RESULT = "export.json"


class Engine:
    """The sessions of a directory.

    Args:
        threads: of each product; 0: as many as onnxruntime chooses.

    Attributes:
        facts: what export.json says under "engine".
    """

    def __init__(self, folder: Path | str, threads: int = 0) -> None:
        import onnxruntime  # here, so that whoever exports to another format need not have it

        self.folder = Path(folder)
        self.facts: dict[str, Any] = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))["engine"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.sessions = [
            onnxruntime.InferenceSession(str(self.folder / name), options, providers=["CPUExecutionProvider"])
            for name in self.facts["layout"]["files"]
        ]

    def run(self, number: int, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of a graph by name; of what is given it takes what it knows."""
        session = self.sessions[number]
        taken = {one.name: given[one.name] for one in session.get_inputs()}
        return dict(zip([one.name for one in session.get_outputs()], session.run(None, taken), strict=True))


def filled(rows: Sequence[Sequence[int]], filler: int = 0, *, before: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(ids, mask), (B, T) int64 each; what fills rows stands behind them, or before."""
    longest = max(len(row) for row in rows)
    ids, mask = np.full((len(rows), longest), filler, np.int64), np.zeros((len(rows), longest), np.int64)
    for i, row in enumerate(rows):
        place = slice(longest - len(row), longest) if before else slice(len(row))
        ids[i, place], mask[i, place] = row, 1
    return ids, mask


class Reader(Engine):
    """A model with a head, or one that tells hidden tokens."""

    def said(self, rows: Sequence[Sequence[int]], kinds: Sequence[Sequence[int]] | None = None) -> list[np.ndarray]:
        """What the head answers to each row: (L,), of tags, spans and hidden tokens (n, L)."""
        return self.asked(rows, kinds)[0]

    def asked(
        self, rows: Sequence[Sequence[int]], kinds: Sequence[Sequence[int]] | None = None
    ) -> tuple[list[np.ndarray], tuple[np.ndarray, ...] | None]:
        """The same, and the transitions of tags, where there are any: of each after each, of the first, of the last."""
        ids_BT, mask_BT = filled(rows)
        kinds_BT = np.zeros_like(ids_BT) if kinds is None else filled(kinds)[0]
        given = {"input_ids": ids_BT, "attention_mask": mask_BT, "token_type_ids": kinds_BT}
        found = self.run(0, given)
        logits = found["logits"]
        parts = [one[: len(row)] if logits.ndim == 3 else one for one, row in zip(logits, rows, strict=True)]
        names = ("follows", "begins", "ends")
        return parts, tuple(found[name] for name in names) if self.facts["layout"]["crf"] else None


class Tags(NamedTuple):
    """Of a row of words: the number of each one's tag, and how likely it is."""

    tags_W: np.ndarray
    likely_W: np.ndarray


def best_tags(
    scores_WL: np.ndarray,
    transitions: Sequence[np.ndarray] | None,
    allowed: Sequence[np.ndarray] | None = None,
) -> Tags:
    """The likeliest row of tags (Viterbi 1967).

    Args:
        scores_WL: of the tags at each word.
        transitions: (L, L) of each tag after each, (L,) of the first, (L,) of the last; None: tags are told one by one.
        allowed: added to these: 0, or -inf where a tag may not stand; None: all may.
    """
    scores_WL = scores_WL.astype(np.float32)
    W = len(scores_WL)
    if not W:
        return Tags(np.zeros(0, np.int64), np.zeros(0, np.float32))
    if transitions is None:
        likely_WL = _softmax(scores_WL)
        with np.errstate(divide="ignore"):
            weighed_WL = np.log(likely_WL)
        tags_W = scores_WL.argmax(1) if allowed is None else _viterbi(weighed_WL, *allowed)
    else:
        likely_WL = _softmax(_forwards(scores_WL, *transitions) + _backwards(scores_WL, *transitions))
        follows, begins, ends = transitions if allowed is None else [
            one + other for one, other in zip(transitions, allowed, strict=True)
        ]  # fmt: skip
        tags_W = _viterbi(scores_WL, follows, begins, ends)
    return Tags(tags_W, likely_WL[np.arange(W), tags_W])


def _viterbi(scores_WL: np.ndarray, follows: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    alpha_L, came = begins + scores_WL[0], []
    for score_L in scores_WL[1:]:
        value_LL = alpha_L[:, None] + follows
        came.append(value_LL.argmax(0))
        alpha_L = value_LL.max(0) + score_L
    tags = [int((alpha_L + ends).argmax())]
    for from_L in reversed(came):
        tags.append(int(from_L[tags[-1]]))
    return np.array(tags[::-1], np.int64)


def _forwards(scores_WL: np.ndarray, follows: np.ndarray, begins: np.ndarray, _ends: np.ndarray) -> np.ndarray:
    """(W, L) the logarithm of the summed weights of all rows up to each tag."""
    found = [begins + scores_WL[0]]
    for score_L in scores_WL[1:]:
        found.append(_log_sum(found[-1][:, None] + follows) + score_L)
    return np.stack(found)


def _backwards(scores_WL: np.ndarray, follows: np.ndarray, _begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(W, L) that of all rows behind each tag."""
    found = [ends]
    for score_L in scores_WL[:0:-1]:
        found.append(_log_sum((follows + score_L + found[-1]).T))
    return np.stack(found[::-1])


def _log_sum(x_LL: np.ndarray) -> np.ndarray:
    """Over the first axis."""
    most_L: np.ndarray = x_LL.max(0)
    return np.log(np.exp(x_LL - most_L).sum(0)) + most_L


def _softmax(x_WL: np.ndarray) -> np.ndarray:
    away = np.exp(x_WL - x_WL.max(-1, keepdims=True))
    return np.asarray(away / away.sum(-1, keepdims=True))


class Rows:
    """Rows that are being written.

    Attributes:
        logits: (B, V) of each row's next token.
        kept: what goes along with each row, by the name that the graph takes it under.
    """

    def __init__(self, engine: Writer, kept: dict[str, np.ndarray], mask_BS: np.ndarray | None) -> None:
        self.engine, self.kept, self.mask_BS = engine, kept, mask_BS
        self.logits = np.zeros((0, 0), np.float32)

    def step(self, ids_B: np.ndarray) -> None:
        """Each row's next token."""
        self.logits = self.read(np.asarray(ids_B, np.int64)[:, None])[:, -1]

    def read(self, ids_BT: np.ndarray) -> np.ndarray:
        """(B, T, V) logits behind each of these tokens, which go on from what came before."""
        mask_BT = np.ones(ids_BT.shape, np.int64)
        if self.mask_BS is not None:
            self.mask_BS = mask_BT = np.concatenate([self.mask_BS, mask_BT], axis=1)
        return self.engine.goes_on(self, {"input_ids": ids_BT, "attention_mask": mask_BT})

    def take(self, rows_N: np.ndarray) -> Rows:
        """These rows in this order, each as often as it is named; these here stay as they are."""
        mask, kept = None if self.mask_BS is None else self.mask_BS[rows_N], self.kept
        if mask is not None and len(rows_N) and not mask[:, 0].any():  # what fills all of them goes
            begin = int(mask.any(0).argmax())
            mask, kept = mask[:, begin:], {name: value[:, :, begin:] for name, value in kept.items()}
        taken = Rows(self.engine, {name: value[rows_N] for name, value in kept.items()}, mask)
        taken.logits = self.logits[rows_N]
        return taken

    def join(self, other: Rows) -> Rows:
        """These rows and, behind them, another's, of a model that has no source: rows of two lengths end together."""
        mask, pairs = None, [(self.kept[name], other.kept[name]) for name in self.kept]
        if self.mask_BS is not None and other.mask_BS is not None:
            most = max(self.mask_BS.shape[1], other.mask_BS.shape[1])
            mask = np.concatenate([_before(one, most, 1) for one in (self.mask_BS, other.mask_BS)])
            pairs = [(_before(one, most, 2), _before(two, most, 2)) for one, two in pairs]
        joined = Rows(self.engine, {n: np.concatenate(pair) for n, pair in zip(self.kept, pairs, strict=True)}, mask)
        joined.logits = np.concatenate([self.logits, other.logits])
        return joined


def _before(values: np.ndarray, length: int, axis: int) -> np.ndarray:
    """With zeros before them, up to a length."""
    widths = [(length - values.shape[axis] if i == axis else 0, 0) for i in range(values.ndim)]
    return np.pad(values, widths)


class Writer(Engine):
    """A decoder, an encoder-decoder or a recurrent language model."""

    def begin(self, rows: Sequence[Sequence[int]]) -> Rows:
        """Rows that go on from these; of an encoder-decoder these are the sources."""
        kind, facts = self.facts["kind"], self.facts
        if kind == "translator":
            ids_BS, mask_BS = filled(rows, facts["padding"])
            source = self.run(0, {"input_ids": ids_BS, "attention_mask": mask_BS})
            made = Rows(self, {**source, **self.nothing(len(rows)), "encoder_attention_mask": mask_BS}, None)
            made.logits = made.read(np.full((len(rows), 1), facts["start"], np.int64))[:, -1]
            return made
        ids_BT, mask_BT = filled(rows, before=kind == "decoder")
        if kind == "decoder":
            made = Rows(self, self.nothing(len(rows)), np.zeros((len(rows), 0), np.int64))
            made.mask_BS = mask_BT
            logits = self.goes_on(made, {"input_ids": ids_BT, "attention_mask": mask_BT})
            made.logits = logits[:, -1]
            return made
        made = Rows(self, self.nothing(len(rows)), None)
        logits = self.goes_on(made, {"input_ids": ids_BT, "attention_mask": mask_BT})
        made.logits = logits[np.arange(len(rows)), mask_BT.sum(1) - 1]
        return made

    def logits(self, rows: Sequence[Sequence[int]], sources: Sequence[Sequence[int]] | None = None) -> list[np.ndarray]:
        """(n, V) logits behind each token of each row, whole rows at once; of an encoder-decoder rows are targets."""
        ids_BT, mask_BT = filled(rows)
        if self.facts["kind"] == "translator":
            assert sources is not None
            ids_BS, mask_BS = filled(sources, self.facts["padding"])
            source = self.run(0, {"input_ids": ids_BS, "attention_mask": mask_BS})
            made = Rows(self, {**source, **self.nothing(len(rows)), "encoder_attention_mask": mask_BS}, None)
        else:
            made = Rows(self, self.nothing(len(rows)), None)
        found = self.goes_on(made, {"input_ids": ids_BT, "attention_mask": mask_BT})
        return [one[: len(row)] for one, row in zip(found, rows, strict=True)]

    def goes_on(self, rows: Rows, given: dict[str, np.ndarray]) -> np.ndarray:
        """Logits, and the rows with what they remember now."""
        found = self.run(len(self.sessions) - 1, {**rows.kept, **given})
        for name in found:
            base, _, rest = name.partition(".")
            kept = {"present": "past_key_values", "left": "state"}.get(base)
            if kept is not None:
                rows.kept[f"{kept}.{rest}"] = found[name]
        return found["logits"]

    def nothing(self, n: int) -> dict[str, np.ndarray]:
        """What rows remember that have not begun."""
        layout = self.facts["layout"]
        empty = np.zeros((n, layout["groups"], 0, layout["key_width"]), np.float32)
        pairs = {f"past_key_values.{i}.{part}": empty for i in range(layout["layers"]) for part in ("key", "value")}
        return pairs | {f"state.{i}": np.zeros((n, width), np.float32) for i, width in enumerate(layout["state"])}
