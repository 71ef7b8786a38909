"""Every family that writes, behind the interface of `protocol`.

    decoder            keys and values of the prompt, grown by each token
    encoder-decoder    the prompt is the source; its keys and values are kept once, however many targets it gets
    recurrent          a state
    n-gram             the last tokens

Prompts of several lengths end together: shorter ones have padding before them, which nobody sees, and positions count
from behind it. So a row says what it says alone, up to the rounding of a product of another size; every row's next
token is at one place, and a step is one call however many lengths there are. Groups of one length would need no mask,
but a hundred prompts have nearly as many lengths, and a step of one row costs almost as much as one of many.

The model is used in evaluation mode and without gradients, and is left in the mode that it was in.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional

from assay.errors import InputError
from assay.inference.protocol import Ids, Stepper, Writing, padded_before
from assay.models.attention import PADDING
from assay.models.blocks import Memory
from assay.models.decoder import Decoder
from assay.models.encoder import Encoder
from assay.models.ngram import KneserNey
from assay.models.recurrent import Recurrent, State
from assay.models.seq2seq import Seq2Seq

MOST_DEAD = 32  # positions that may be padding in all rows, before what is remembered is copied without them
LOGITS_HELD = 1 << 22  # numbers of logits that `follow` holds at a time (16 MB)


def stepper(model: Any) -> Stepper:
    """What writes with a model.

    Args:
        model: of a family above, or a `Stepper` of one's own.

    Raises:
        InputError: it is of a family that does not write.
    """
    if isinstance(model, Decoder):
        return _Decoders(model)
    if isinstance(model, Seq2Seq):
        return _Translators(model)
    if isinstance(model, Recurrent) and not model.config.both_ways:
        return _Recurrents(model)
    if isinstance(model, KneserNey):
        return _NGrams(model)
    if callable(getattr(model, "begin", None)):
        return cast("Stepper", model)
    sees = "sees what follows" if isinstance(model, Encoder | Recurrent) else f"is a {type(model).__name__}"
    raise InputError(
        f"the model {sees}, and cannot write",
        remedy="give a decoder, an encoder-decoder, a recurrent model that reads forwards, or an n-gram model",
    )


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="_Neural")


def _quietly(
    method: Callable[Concatenate[Self, Arguments], Result],
) -> Callable[Concatenate[Self, Arguments], Result]:
    """In evaluation mode, without gradients; a model that is training goes on to."""

    @functools.wraps(method)
    def quiet(self: Self, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        was_training = self.model.training
        if was_training:
            self.model.eval()
        try:
            with torch.inference_mode():
                return method(self, *arguments, **named)
        finally:
            if was_training:
                self.model.train()

    return quiet


class _Neural:
    """What steppers and rows of neural models have in common: the model, and where it is."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.vocabulary: int = model.config.vocabulary
        self.device: torch.device = model.embedding.device


class _Reading(_Neural):
    """A stepper of a neural model."""

    in_pieces = True

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.reads: int | None = getattr(model.config, "max_length", None)

    def history(self, prompt: Ids) -> list[int]:
        return list(prompt)

    def room(self, prompt: Ids) -> int | None:
        """The last token that is written is not read."""
        return None if self.reads is None else self.reads - len(prompt) + 1


class _Rows(_Neural, ABC):
    """Rows of a neural model; a family says what its hidden states are, and what goes along when rows are taken."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._logits: tuple[Tensor, Tensor | None]
        self._states: Tensor | None = None

    def logits(self) -> Tensor:
        """Rows are taken of them when they are asked for, which after most takes they are not: a step comes before."""
        logits, rows_N = self._logits
        if rows_N is not None:
            self._logits = logits.index_select(0, rows_N), None
        return self._logits[0]

    @abstractmethod
    def hidden(self, ids_BT: Tensor) -> Tensor:
        """States (B, T, D) of ids that go on from what came before."""

    @abstractmethod
    def taken(self, rows_N: Tensor, last: bool) -> _Rows:
        """Rows with what came before, without logits."""

    @abstractmethod
    def joined(self, other: Any) -> _Rows:
        """These rows and another's with what came before, without logits."""

    @abstractmethod
    def replaced(self, other: Any, at: Sequence[int]) -> bool:
        """`put`, but for the logits."""

    def _seen(self, x_BTD: Tensor) -> None:
        self._states = x_BTD
        self._logits = self.model.logits(x_BTD[:, -1]).float(), None

    def states(self) -> Tensor | None:
        return self._states

    def mark(self) -> None:
        pass

    @abstractmethod
    def back(self, count: int) -> None: ...

    @_quietly
    def extend(self, ids_BT: Tensor) -> Tensor:
        self._states = x_BTD = self.hidden(ids_BT)
        logits_BTV = self.model.logits(x_BTD).float()
        self._logits = logits_BTV[:, -1], None
        return logits_BTV

    @_quietly
    def read(self, ids_BT: Tensor) -> None:
        self._seen(self.hidden(ids_BT))

    def step(self, ids_B: Tensor) -> None:
        self.read(ids_B[:, None])

    @_quietly
    def take(self, rows_N: Tensor, *, last: bool = False) -> _Rows:
        new = self.taken(rows_N, last)
        new._logits = self.logits(), rows_N
        return new

    @_quietly
    def join(self, other: Any) -> _Rows:
        new = self.joined(other)
        new._logits = torch.cat([self.logits(), other.logits()]), None
        return new

    @_quietly
    def put(self, other: Any, at: Sequence[int]) -> bool:
        fits = self.replaced(other, at)
        if fits:
            places_N = torch.tensor(at, device=self.device)
            self._logits = self.logits().index_copy(0, places_N, other.logits()), None
        return fits

    @_quietly
    def follow(self, ids_BT: Tensor) -> tuple[Tensor, Tensor]:
        counted = ids_BT >= 0
        scores, best = torch.zeros(ids_BT.shape, device=self.device), torch.ones_like(counted)
        if not ids_BT.numel():
            return scores, best
        scores[:, 0], best[:, 0] = _found(self.logits(), ids_BT[:, 0])
        later_BT = counted[:, 1:]
        if later_BT.any():
            x_ND = self.hidden(ids_BT[:, :-1].clamp_min(0))[later_BT]
            size = max(1, LOGITS_HELD // self.vocabulary)
            pieces = zip(x_ND.split(size), ids_BT[:, 1:][later_BT].split(size), strict=True)
            parts = [_found(self.model.logits(x).float(), ids) for x, ids in pieces]
            scores[:, 1:][later_BT], best[:, 1:][later_BT] = (torch.cat(part) for part in zip(*parts, strict=True))
        return scores.masked_fill(~counted, 0.0), best | ~counted


def _found(logits_NV: Tensor, ids_N: Tensor) -> tuple[Tensor, Tensor]:
    """(log-probability of each id, whether no other is more likely), (N,) each."""
    at_N1 = ids_N.clamp_min(0)[:, None]
    # Not logsumexp: on a CPU that takes three times as long.
    scores_N = logits_NV.log_softmax(-1).gather(-1, at_N1).squeeze(-1)
    return scores_N, logits_NV.gather(-1, at_N1).squeeze(-1) >= logits_NV.amax(-1)


class _Decoding(_Rows):
    """Rows of a decoder.

    Args:
        lead_B: tokens of padding before each; None where no row has any.
    """

    def __init__(self, model: Decoder, memories: list[tuple[Memory, Memory]], lead_B: Tensor | None) -> None:
        super().__init__(model)
        self.memories, self.lead_B = memories, lead_B

    def hidden(self, ids_BT: Tensor) -> Tensor:
        return self.model.hidden(ids_BT, None, self.memories, self.lead_B)

    def taken(self, rows_N: Tensor, last: bool) -> _Decoding:
        lead_N, begin = _without_padding(self.lead_B, rows_N)
        memories = [(own.take(rows_N, last=last, begin=begin), cross) for own, cross in self.memories]
        return _Decoding(self.model, memories, lead_N)

    def joined(self, other: _Decoding) -> _Decoding:
        pairs = zip(self.memories, other.memories, strict=True)
        memories = [(own.join(its, ends=True), cross) for (own, cross), (its, _) in pairs]
        return _Decoding(self.model, memories, _leads(self, other))

    def replaced(self, other: _Decoding, at: Sequence[int]) -> bool:
        leads_B = _leads_with(self, other, at)
        if leads_B is None:
            return False
        self.lead_B = leads_B
        for (own, _), (its, _) in zip(self.memories, other.memories, strict=True):
            own.put(its, at, ends=True)
        return True

    def back(self, count: int) -> None:
        for own, _ in self.memories:
            own.back(count)


def _without_padding(lead_B: Tensor | None, rows_N: Tensor) -> tuple[Tensor | None, int]:
    """Of some rows, padding before each, and how many of the first positions are padding in all of them and are left
    out: a batch that rows join and leave for ever would keep them."""
    if lead_B is None or not len(rows_N):
        return None, 0
    lead_N = lead_B.index_select(0, rows_N)
    least, most = (int(x) for x in torch.aminmax(lead_N))
    return (lead_N - least if most > least else None), least


def _leads(one: Any, other: Any) -> Tensor | None:
    """Padding before each of the rows of both, which end together; None where there is none."""
    lengths = [rows.memories[0][0].length for rows in (one, other)]
    if lengths[0] == lengths[1] and one.lead_B is None and other.lead_B is None:
        return None
    parts = []
    for rows, length in zip((one, other), lengths, strict=True):
        none = torch.zeros(rows.memories[0][0].rows, dtype=torch.int64, device=one.device)
        parts.append((none if rows.lead_B is None else rows.lead_B) + max(lengths) - length)
    return torch.cat(parts)


def _leads_with(one: Any, other: Any, at: Sequence[int]) -> Tensor | None:
    """Padding before each row once another's rows have these places. None: they are longer, or so much of what is
    remembered would be padding in all rows that copying the rest is worth it."""
    own, its = (rows.memories[0][0] for rows in (one, other))
    if its.length > own.length:
        return None
    none = torch.zeros(own.rows, dtype=torch.int64, device=one.device)
    leads_B = none if one.lead_B is None else one.lead_B.clone()
    theirs = own.length - its.length
    leads_B[list(at)] = theirs if other.lead_B is None else other.lead_B + theirs
    return None if int(leads_B.min()) > max(MOST_DEAD, own.length // 4) else leads_B


class _Decoders(_Reading):
    @_quietly
    def begin(self, prompts: Sequence[Ids]) -> Writing:
        ids_BT, lead_B = padded_before(prompts, 0, self.device)
        rows = _Decoding(self.model, self.model.memories(), lead_B if len({len(p) for p in prompts}) > 1 else None)
        rows.read(ids_BT)
        return rows


class _Translating(_Rows):
    """Targets of an encoder-decoder.

    Args:
        memories: of self-attention, a row each target; of cross-attention, a row each source.
        segments_BS: of the sources; None where none has padding.
        of: the source of each row: as many rows on end for each of them.
        states_BSD: of the sources, until the memories have seen them.
        lead_B: positions of padding before each target; None where no row has any.
    """

    def __init__(
        self,
        model: Seq2Seq,
        memories: list[tuple[Memory, Memory]],
        segments_BS: Tensor | None,
        of: list[int],
        states_BSD: Tensor | None = None,
        lead_B: Tensor | None = None,
    ) -> None:
        super().__init__(model)
        self.memories, self.segments_BS, self.of, self.states_BSD = memories, segments_BS, of, states_BSD
        self.lead_B = lead_B

    def hidden(self, ids_BT: Tensor) -> Tensor:
        x_BTD = self.model.hidden(self.states_BSD, ids_BT, self.segments_BS, memories=self.memories, lead_B=self.lead_B)
        self.states_BSD = None
        return x_BTD

    def taken(self, rows_N: Tensor, last: bool) -> _Translating:
        """Rows that stay with their sources leave the sources' keys and values where they are."""
        rows = rows_N.tolist()
        of = [self.of[row] for row in rows]
        sources = list(dict.fromkeys(of))
        each, rest = divmod(len(of), len(sources))
        if rest or of != [source for source in sources for _ in range(each)]:
            sources, each = of, 1  # the sources have different numbers of rows: one copy a row
        cross = [memory for _, memory in self.memories]
        segments_BS = self.segments_BS
        if sources != list(range(cross[0].rows)):
            kept = torch.tensor(sources, device=self.device)
            end = None
            if segments_BS is not None:
                segments_BS, end = _shortest(segments_BS.index_select(0, kept))
            cross = [memory.take(kept, end=end) for memory in cross]
        lead_N, begin = _without_padding(self.lead_B, rows_N)
        memories = [
            (own.take(rows_N, last=last, begin=begin), memory)
            for (own, _), memory in zip(self.memories, cross, strict=True)
        ]
        of = [i for i in range(len(sources)) for _ in range(each)]
        return _Translating(self.model, memories, segments_BS, of, lead_B=lead_N)

    def joined(self, other: _Translating) -> _Translating:
        """Of both, sources with as many rows each; where these numbers differ, one copy a row."""
        one, two = self, other
        if len(one.of) * two._sources != len(two.of) * one._sources:
            one, two = one._apart(), two._apart()
        memories = [
            (own.join(its, ends=True), cross.join(other_cross, ends=False))
            for (own, cross), (its, other_cross) in zip(one.memories, two.memories, strict=True)
        ]
        longest = memories[0][1].length
        segments_BS = None
        if one.segments_BS is not None or two.segments_BS is not None or one._length != two._length:
            segments_BS = torch.cat([rows._segments(longest) for rows in (one, two)])
        of = [*one.of, *(one._sources + source for source in two.of)]
        return _Translating(self.model, memories, segments_BS, of, lead_B=_leads(one, two))

    def replaced(self, other: _Translating, at: Sequence[int]) -> bool:
        """Where each row has a source of its own."""
        alone = len(self.of) == self._sources and len(other.of) == other._sources
        leads_B = _leads_with(self, other, at) if alone and other._length <= self._length else None
        if leads_B is None:
            return False
        segments_BS = self._segments(self._length).clone()
        segments_BS[list(at)] = other._segments(self._length)
        if 2 * _shortest(segments_BS)[1] < self._length:
            return False
        self.lead_B, self.segments_BS = leads_B, segments_BS
        for (own, cross), (its, its_cross) in zip(self.memories, other.memories, strict=True):
            own.put(its, at, ends=True)
            cross.put(its_cross, at, ends=False)
        return True

    @property
    def _sources(self) -> int:
        return self.memories[0][1].rows

    @property
    def _length(self) -> int:
        """Tokens of the longest source."""
        return self.memories[0][1].length

    def _apart(self) -> _Translating:
        """The same rows, with a copy of its source for each."""
        of = torch.tensor(self.of, device=self.device)
        memories = [(own, cross.take(of)) for own, cross in self.memories]
        segments_BS = None if self.segments_BS is None else self.segments_BS.index_select(0, of)
        return _Translating(self.model, memories, segments_BS, list(range(len(of))), lead_B=self.lead_B)

    def _segments(self, length: int) -> Tensor:
        """(sources, length), with padding at the ends."""
        own = self.segments_BS
        if own is None:
            own = torch.zeros(self._sources, self._length, dtype=torch.int64, device=self.device)
        return functional.pad(own, (0, length - own.shape[1]), value=PADDING)

    def back(self, count: int) -> None:
        for own, _ in self.memories:
            own.back(count)


def _shortest(segments_BS: Tensor) -> tuple[Tensor | None, int]:
    """Without what is padding at the ends of all rows, None where none is left; and the length of the longest row."""
    lengths = (segments_BS != PADDING).sum(dim=1)
    least, most = (int(x) for x in torch.aminmax(lengths))
    return (segments_BS[:, :most] if least < most else None), most


class _Translators(_Reading):
    in_pieces = False  # a source is looked at both ways

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__(model)
        if model.config.positions == "relative":
            self.reads = None

    def history(self, prompt: Ids) -> list[int]:
        return [self.model.config.start]

    def room(self, prompt: Ids) -> int | None:
        """Of the target alone, which `start` begins."""
        return self.reads

    @_quietly
    def begin(self, prompts: Sequence[Ids]) -> Writing:
        c, lengths = self.model.config, [len(prompt) for prompt in prompts]
        longest = max(lengths)
        source_BS = torch.tensor([[*p, *[c.padding] * (longest - len(p))] for p in prompts], device=self.device)
        segments_BS = None
        if min(lengths) < longest:
            ends_B = torch.tensor(lengths, device=self.device)
            segments_BS = torch.where(torch.arange(longest, device=self.device) < ends_B[:, None], 0, PADDING)
        states = self.model.encode(source_BS, segments_BS)
        rows = _Translating(self.model, self.model.memories(), segments_BS, list(range(len(prompts))), states)
        rows.read(torch.full((len(prompts), 1), c.start, device=self.device))
        return rows


class _Remembering(_Rows):
    """Rows of a recurrent model."""

    def __init__(self, model: Recurrent, state: State | None) -> None:
        super().__init__(model)
        self.state = state
        self._marked: tuple[State | None, Tensor] | None = None  # the state at the mark, and ids (B, T) since

    def hidden(self, ids_BT: Tensor) -> Tensor:
        if self._marked is not None:
            self._marked = self._marked[0], torch.cat([self._marked[1], ids_BT], dim=1)
        x_BTD, self.state = self.model.hidden(ids_BT, None, self.state)
        return x_BTD

    def mark(self) -> None:
        assert self.state is not None
        rows = self.state[0][0].shape[0]
        self._marked = self.state, torch.zeros(rows, 0, dtype=torch.int64, device=self.device)

    @_quietly
    def back(self, count: int) -> None:
        """A state does not say what it was: what stays is read again from the mark on."""
        if not count:
            return
        assert self._marked is not None
        self.state, ids_BT = self._marked
        self.mark()
        if ids_BT.shape[1] > count:
            self.hidden(ids_BT[:, :-count])

    def taken(self, rows_N: Tensor, last: bool) -> _Remembering:
        assert self.state is not None
        return _Remembering(self.model, [tuple(s.index_select(0, rows_N) for s in layer) for layer in self.state])

    def joined(self, other: _Remembering) -> _Remembering:
        assert self.state is not None
        assert other.state is not None
        layers = zip(self.state, other.state, strict=True)
        return _Remembering(self.model, [tuple(map(torch.cat, zip(*both, strict=True))) for both in layers])

    def replaced(self, other: _Remembering, at: Sequence[int]) -> bool:
        assert self.state is not None
        assert other.state is not None
        places_N = torch.tensor(at, device=self.device)
        layers = zip(self.state, other.state, strict=True)
        self.state = [tuple(s.index_copy(0, places_N, x) for s, x in zip(*both, strict=True)) for both in layers]
        return True


class _Recurrents(_Reading):
    @_quietly
    def begin(self, prompts: Sequence[Ids]) -> Writing:
        """Padding is a document of its own, so that the state begins anew behind it."""
        ids_BT, lead_B = padded_before(prompts, 0, self.device)
        segments_BT = (torch.arange(ids_BT.shape[1], device=self.device) >= lead_B[:, None]).long()
        x_BTD, state = self.model.hidden(ids_BT, segments_BT)
        rows = _Remembering(self.model, state)
        rows._seen(x_BTD)
        return rows


class _Counting:
    """Rows of an n-gram model."""

    def __init__(self, model: KneserNey, texts: list[list[int]], known_BV: Tensor | None = None) -> None:
        self.model, self.texts = model, texts
        # A token that has no probability has a logarithm all the same: minus infinity.
        self._known = torch.from_numpy(model.next_probabilities(texts)).log() if known_BV is None else known_BV

    def logits(self) -> Tensor:
        return self._known

    def step(self, ids_B: Tensor) -> None:
        self.read(ids_B[:, None])

    def states(self) -> None:
        return None

    def mark(self) -> None:
        pass

    def extend(self, ids_BT: Tensor) -> Tensor:
        found = []
        for ids_B in ids_BT.T:
            self.step(ids_B)
            found.append(self._known)
        return torch.stack(found, dim=1)

    def back(self, count: int) -> None:
        self.texts = [text[: len(text) - count] for text in self.texts]

    def take(self, rows_N: Tensor, *, last: bool = False) -> _Counting:
        return _Counting(self.model, [self.texts[row] for row in rows_N.tolist()], self._known[rows_N])

    def join(self, other: Any) -> _Counting:
        return _Counting(self.model, [*self.texts, *other.texts], torch.cat([self._known, other._known]))

    def put(self, other: Any, at: Sequence[int]) -> bool:
        for place, text in zip(at, other.texts, strict=True):
            self.texts[place] = text
        self._known = self._known.index_copy(0, torch.tensor(at), other._known)
        return True

    def read(self, ids_BT: Tensor) -> None:
        texts = [[*text, *ids] for text, ids in zip(self.texts, ids_BT.tolist(), strict=True)]
        self.texts, self._known = texts, _Counting(self.model, texts).logits()

    def follow(self, ids_BT: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for ids_B in ids_BT.T:
            found.append(_found(self._known, ids_B))
            self.step(ids_B.clamp_min(0))
        counted = ids_BT >= 0
        if not found:
            return torch.zeros(ids_BT.shape, dtype=torch.float64), torch.ones_like(counted)
        scores, best = (torch.stack(part, dim=1) for part in zip(*found, strict=True))
        return scores.masked_fill(~counted, 0.0), best | ~counted


class _NGrams:
    in_pieces = True

    def __init__(self, model: KneserNey) -> None:
        self.model, self.vocabulary, self.device = model, model.vocabulary, torch.device("cpu")
        self.reads: int | None = None

    def history(self, prompt: Ids) -> list[int]:
        return list(prompt)

    def room(self, prompt: Ids) -> int | None:
        return None

    def begin(self, prompts: Sequence[Ids]) -> Writing:
        return _Counting(self.model, [list(p) for p in prompts])
