"""Beam search: the continuations of a prompt that are most likely as a whole, or nearly.

At every step each of `width` open continuations is extended by every token, and the best of all that are kept. One that
ends counts where it is among the `width` best of its step. A finished one's score is its log-probability over a penalty
of its length, so that longer ones have a chance:

    power    length^a             transformers, Marian
    wu       ((5 + length) / 6)^a    Wu et al. 2016, without their coverage

Lengths are in new tokens, the stop among them. A prompt is done when `width` are finished and

    until = "width"     at once (transformers: early_stopping=True)
    until = "likely"    the best open one would not beat the worst finished one if it ended here (False, the default)
    until = "certain"   nor if it lost nothing more up to the greatest length (for penalties above 0; "never")

or when the greatest length is reached, where all that are open count as finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from assay.errors import InputError
from assay.inference import sampling
from assay.inference.constraint import Constraint, masks, told
from assay.inference.generate import ROWS, asked_of, nothing_left
from assay.inference.limits import USUAL, End, Limits, Written, batches, room_of
from assay.inference.protocol import Ids, Stepper, Writing, padded_before
from assay.inference.sampling import NO_RULES, Rules


@dataclass(frozen=True)
class Beams:
    """How beams are searched; see the top of the module.

    Attributes:
        width: continuations that are open at a time.
        best: so many are handed back, the best first.
        penalty: the exponent a; 0: plain log-probability.
    """

    width: int = 4
    best: int = 1
    penalty: float = 1.0
    form: Literal["power", "wu"] = "power"
    until: Literal["width", "likely", "certain"] = "likely"

    def __post_init__(self) -> None:
        if not 1 <= self.best <= self.width:
            raise InputError(f"the {self.best} best of {self.width}", where="beams", remedy="give 1 <= best <= width")

    def over(self, length: int) -> float:
        """What a log-probability is divided by."""
        return float(length if self.form == "power" else (5 + length) / 6) ** self.penalty


class _Node(NamedTuple):
    """A token of a continuation, and the way back."""

    before: _Node | None
    id: int
    log_probability: float

    def path(self) -> list[_Node]:
        nodes: list[_Node] = []
        at: _Node | None = self
        while at is not None:
            nodes.append(at)
            at = at.before
        return nodes[::-1]


class _Candidate(NamedTuple):
    """An open continuation with one more token.

    Attributes:
        beam: number of the one that it extends.
        form: that it has to have; as it was before the token, until it is open.
    """

    score: float
    beam: int
    node: _Node
    form: Constraint | None = None


@dataclass
class _Search:
    """One prompt's search.

    Attributes:
        most: tokens that it has room for.
        open: what goes on, the best first.
        finished: the best that ended, the best first; `width` at most.
    """

    place: int
    most: int
    open: list[_Candidate] = field(default_factory=list)
    finished: list[Written] = field(default_factory=list)

    def go_on(self, candidates: list[_Candidate], length: int, beams: Beams, limits: Limits) -> None:
        """A step: candidates, the best first, become open or finished."""
        self.open = []
        for rank, found in enumerate(candidates):
            candidate = found if found.form is None else found._replace(form=told(found.form, found.node.id))
            end = self._end(candidate, length, limits)
            if end is None:
                self.open.append(candidate)
                if len(self.open) == beams.width:
                    break
            elif rank < beams.width:
                path = candidate.node.path()
                ids, scores = tuple(n.id for n in path), tuple(n.log_probability for n in path)
                self.finished.append(Written(ids, scores, *end, candidate.score / beams.over(length)))
        self.finished.sort(key=lambda written: -written.score)
        del self.finished[beams.width :]
        if self._done(length, beams):
            self.open = []

    def _end(self, candidate: _Candidate, length: int, limits: Limits) -> tuple[End, int] | None:
        node, form = candidate.node, candidate.form
        end: tuple[End, int] | None
        if limits.sequences or limits.when is not None:
            end = limits.end([n.id for n in node.path()], self.most)
        elif node.id in limits.stop:
            return "stop", 1  # before `least` it is no candidate
        else:
            end = limits.end_of_room(length, self.most)
        is_whole = form is not None and form.done
        return ("stop", 0) if is_whole and (end is None or end[0] != "stop") else end

    def _done(self, length: int, beams: Beams) -> bool:
        if len(self.finished) < beams.width or not self.open:
            return not self.open
        if beams.until == "width":
            return True
        furthest = self.most if beams.until == "certain" and beams.penalty > 0 else length
        return self.open[0].score / beams.over(furthest) <= self.finished[-1].score


def beam_search(
    model: Any,
    prompts: Sequence[Ids],
    beams: Beams = Beams(),
    limits: Limits = USUAL,
    rules: Rules = NO_RULES,
    *,
    rows: int = ROWS,
) -> list[list[Written]]:
    """The best continuations of each prompt, the best first: `beams.best` of them, or all where there are fewer.

    Args:
        model: a decoder, encoder-decoder, recurrent or n-gram model, or a `Stepper` of one's own.
        prompts: token ids; an encoder-decoder's are sources.
        rules: asked of log-probabilities, which are not made to sum to 1 again.
        rows: that are written together at most: `rows` over `width` prompts, one at least.

    Raises:
        InputError: as `generate`.
    """
    of, asked = asked_of(model, prompts, limits, rules)
    found: dict[int, list[Written]] = {}
    for places in batches([len(p) for p in asked], beams.width, rows):
        some = [asked[i] for i in places]
        searches = [_Search(i, room_of(of, asked[i], limits)) for i in places]
        _batch(of, some, searches, beams, limits, rules)
        for search in searches:
            if not search.finished:
                raise nothing_left(f"prompts[{search.place}]")
            found[search.place] = search.finished[: beams.best]
    return [found[i] for i in range(len(asked))]


def _batch(
    of: Stepper, prompts: list[list[int]], searches: list[_Search], beams: Beams, limits: Limits, rules: Rules
) -> None:
    """Search for prompts that are written together: as many rows on end for each that is not done."""
    writing = of.begin(prompts)
    said_BT = padded_before([of.history(p) for p in prompts], -1, of.device)[0] if rules.look_back else None
    for search in searches:
        form = None if rules.constraint is None else rules.constraint()
        search.open = [_Candidate(0.0, 0, _Node(None, -1, 0.0), form)]
    per = 1  # rows a prompt: one before the first step
    for length in range(1, limits.new + 1):
        scores = [[c.score for c in s.open] + [sampling.NEVER] * (per - len(s.open)) for s in searches]
        scores_PK = torch.tensor(scores, dtype=torch.float64, device=of.device)
        allowed_BV = None
        if rules.constraint is not None:
            forms = [form for s in searches for form in [*(c.form for c in s.open), *[None] * (per - len(s.open))]]
            allowed_BV = masks(forms, of.vocabulary, of.device)
        found = _best(writing, said_BT, allowed_BV, scores_PK, length, beams, limits, rules)
        for search, candidates in zip(searches, found, strict=True):
            first = length == 1
            nodes = [
                _Candidate(
                    score, beam, _Node(None if first else search.open[beam].node, token, own), search.open[beam].form
                )
                for score, beam, token, own in zip(*candidates, strict=True)
                if score > sampling.NEVER
            ]
            search.go_on(nodes, length, beams, limits)
        if not any(search.open for search in searches):
            return
        # Where fewer than `width` are open, the best one's row stands in for what is missing; it has no score.
        going = [(i, s, s.open + s.open[:1] * (beams.width - len(s.open))) for i, s in enumerate(searches) if s.open]
        rows = [i * per + c.beam for i, _, candidates in going for c in candidates]
        ids_B = torch.tensor([c.node.id for _, _, candidates in going for c in candidates], device=of.device)
        if rows != list(range(len(searches) * per)):
            rows_N = torch.tensor(rows, device=of.device)
            writing = writing.take(rows_N, last=True)
            said_BT = None if said_BT is None else said_BT[rows_N]
        said_BT = None if said_BT is None else torch.cat([said_BT, ids_B[:, None]], dim=1)
        writing.step(ids_B)
        searches, per = [search for _, search, _ in going], beams.width


@torch.inference_mode()
def _best(
    writing: Writing,
    said_BT: Tensor | None,
    allowed_BV: Tensor | None,
    scores_PK: Tensor,
    length: int,
    beams: Beams,
    limits: Limits,
    rules: Rules,
) -> list[tuple[list[float], list[int], list[int], list[float]]]:
    """Of each prompt the best extensions, the best first: their scores, beams, ids, and the ids' log-probabilities.

    So many that `width` go on whatever ends: each beam can end in each stop id.
    """
    P, K = scores_PK.shape
    model_BV = writing.logits().log_softmax(dim=-1)
    V = model_BV.shape[-1]
    shaped_BV = rules.apply(model_BV, said_BT, allowed_BV)
    if length <= limits.least and limits.stop:
        shaped_BV = sampling.without(shaped_BV, limits.stop)
    wanted = max(2, 1 + len(limits.stop) + len(limits.sequences)) * beams.width
    own, ids = shaped_BV.topk(min(wanted, V), dim=-1)  # of each beam first: no sums are made for all K * V
    C = own.shape[1]
    best, at = (scores_PK.view(-1, 1) + own).view(P, -1).topk(min(wanted, K * C), dim=-1)
    beam, ids = at // C, ids.view(P, -1).gather(1, at)
    model_own = model_BV.view(P, -1).gather(1, beam * V + ids)
    return list(zip(best.tolist(), beam.tolist(), ids.tolist(), model_own.tolist(), strict=True))
