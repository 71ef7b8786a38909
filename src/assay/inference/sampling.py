"""What may be said next, and what is: pure functions on logits (B, V).

    Rules      what was said already, and what must not be       logits, ids so far -> logits
    Sampling   how the rest of the probability is cut and bent   logits -> logits
    draw       logits and a number in [0, 1) a row -> ids

What is excluded has minus infinity. Orders and results are those of transformers' logits processors, which the tests
hold them to. A row draws with numbers that its key and the step alone decide, so what it says does not depend on the
rows beside it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError
from assay.inference.constraint import Constraint

NEVER = float("-inf")


def _refuse(what: str, where: str, remedy: str) -> None:
    raise InputError(what, where=where, remedy=remedy)


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen among those that the rules leave, applied in the order of the attributes.

    Attributes:
        temperature: logits are divided by it; 0: the most likely token is taken, and all else says nothing.
        top_k: so many of the most likely tokens stay (Fan et al. 2018).
        top_p: the fewest of the most likely tokens that together have this probability (Holtzman et al. 2020).
        min_p: tokens of at least this share of the most likely one's probability (Nguyen et al. 2024).
        typical: the fewest tokens that together have this probability, those first whose information is nearest to
            what is expected (Meister et al. 2023).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            _refuse(f"a temperature of {self.temperature}", "temperature", "give 0 or more")
        if self.top_k is not None and self.top_k < 1:
            _refuse(f"{self.top_k} tokens", "top_k", "give 1 or more")
        for name in ("top_p", "min_p", "typical"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                _refuse(f"a probability of {share}", name, "give more than 0, and at most 1")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def shape(self, logits_BV: Tensor) -> Tensor:
        """Logits that tokens are drawn by."""
        if self.greedy:
            return logits_BV
        logits_BV = logits_BV / self.temperature
        if self.top_k is not None:
            logits_BV = top_k(logits_BV, self.top_k)
        if self.top_p is not None:
            logits_BV = top_p(logits_BV, self.top_p)
        if self.min_p is not None:
            logits_BV = min_p(logits_BV, self.min_p)
        return logits_BV if self.typical is None else typical(logits_BV, self.typical)


GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True)
class Rules:
    """What may not be said, or less.

    Attributes:
        repetition: logits of ids that were there already are divided by it where positive, multiplied where negative
            (Keskar et al. 2019); 1: as they are.
        no_repeat: no n-gram of so many tokens comes twice; 0: all may.
        banned: ids that are never written.
        constraint: makes, for each answer, the form that it has to have.
    """

    repetition: float = 1.0
    no_repeat: int = 0
    banned: tuple[int, ...] = ()
    constraint: Callable[[], Constraint] | None = None

    def __post_init__(self) -> None:
        if not self.repetition > 0:
            _refuse(f"a penalty of {self.repetition}", "repetition", "give more than 0")
        if self.no_repeat < 0:
            _refuse(f"n-grams of {self.no_repeat} tokens", "no_repeat", "give 0 or more")

    @property
    def look_back(self) -> bool:
        """Whether they ask what was said already."""
        return self.repetition != 1.0 or self.no_repeat > 0

    def apply(self, logits_BV: Tensor, ids_BT: Tensor | None, allowed_BV: Tensor | None = None) -> Tensor:
        """Logits under the rules.

        Args:
            ids_BT: prompt and what was written, -1 before shorter rows; None where no rule looks back.
            allowed_BV: what the forms of the rows allow; None where they have none.
        """
        if allowed_BV is not None:
            logits_BV = logits_BV.masked_fill(~allowed_BV, NEVER)
        if ids_BT is not None:
            if self.repetition != 1.0:
                logits_BV = penalised(logits_BV, ids_BT, self.repetition)
            if self.no_repeat:
                logits_BV = no_repeat(logits_BV, ids_BT, self.no_repeat)
        return without(logits_BV, self.banned) if self.banned else logits_BV


NO_RULES = Rules()


@dataclass(frozen=True)
class Shifts:
    """What is added to logits, as OpenAI's interface has it.

    Attributes:
        bias: of an id.
        presence: is taken off an id's logit once it was written.
        frequency: is taken off as often as it was.
    """

    bias: tuple[tuple[int, float], ...] = ()
    presence: float = 0.0
    frequency: float = 0.0

    @property
    def ids(self) -> tuple[int, ...]:
        """Those that have a bias."""
        return tuple(i for i, _ in self.bias)

    def apply(self, logits_V: Tensor, new: Sequence[int]) -> Tensor:
        """Logits of a row that has these new ids; what stands before them counts for nothing."""
        added = dict(self.bias)
        if self.presence or self.frequency:
            for i, n in Counter(new).items():
                added[i] = added.get(i, 0.0) - self.presence - n * self.frequency
        if not added:
            return logits_V
        at = torch.tensor([*added], device=logits_V.device)
        return logits_V.index_add(0, at, torch.tensor([*added.values()], dtype=logits_V.dtype, device=at.device))


NO_SHIFTS = Shifts()


def top_k(logits_BV: Tensor, k: int) -> Tensor:
    """The k largest, and those that equal the last of them."""
    least = logits_BV.topk(min(k, logits_BV.shape[-1]), dim=-1).values[:, -1:]
    return logits_BV.masked_fill(logits_BV < least, NEVER)


def top_p(logits_BV: Tensor, p: float) -> Tensor:
    """The nucleus: the fewest of the most likely tokens that have a probability of p or more."""
    if p >= 1:
        return logits_BV
    ordered, order = logits_BV.sort(dim=-1)
    out = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    out[:, -1] = False
    return logits_BV.masked_fill(torch.zeros_like(out).scatter(1, order, out), NEVER)


def min_p(logits_BV: Tensor, p: float) -> Tensor:
    """Tokens of at least p times the probability of the most likely one."""
    probability = logits_BV.softmax(dim=-1)
    return logits_BV.masked_fill(probability < p * probability.amax(dim=-1, keepdim=True), NEVER)


def typical(logits_BV: Tensor, p: float) -> Tensor:
    """The fewest tokens that have a probability of p or more, in the order of how far their information -log p is from
    its expectation, the entropy."""
    information = -logits_BV.log_softmax(dim=-1)
    entropy = (information * (-information).exp()).nansum(dim=-1, keepdim=True)
    away, order = (information - entropy).abs().sort(dim=-1)
    reached = logits_BV.gather(-1, order).softmax(dim=-1).cumsum(dim=-1)
    last = (reached < p).sum(dim=-1, keepdim=True).clamp_max(logits_BV.shape[-1] - 1)
    out = away > away.gather(1, last)
    out[:, 0] = False
    return logits_BV.masked_fill(torch.zeros_like(out).scatter(1, order, out), NEVER)


def penalised(logits_BV: Tensor, ids_BT: Tensor, penalty: float) -> Tensor:
    """Ids that were there already are less likely."""
    V = logits_BV.shape[-1]
    seen = torch.zeros(len(logits_BV), V + 1, dtype=torch.bool, device=logits_BV.device)
    seen.scatter_(1, torch.where(ids_BT < 0, V, ids_BT), value=True)  # fillers mark a column of their own
    less = torch.where(logits_BV < 0, logits_BV * penalty, logits_BV / penalty)
    return torch.where(seen[:, :V], less, logits_BV)


def no_repeat(logits_BV: Tensor, ids_BT: Tensor, n: int) -> Tensor:
    """Ids that would end an n-gram which was there already are excluded."""
    if ids_BT.shape[1] < n:
        return logits_BV
    grams = ids_BT.unfold(1, n, 1)  # (B, T - n + 1, n)
    last = ids_BT[:, ids_BT.shape[1] - n + 1 :]
    same = (grams[..., :-1] == last[:, None]).all(dim=-1) & (grams[..., 0] >= 0)
    V = logits_BV.shape[-1]
    out = torch.zeros(len(logits_BV), V + 1, dtype=torch.bool, device=logits_BV.device)
    out.scatter_(1, torch.where(same, grams[..., -1], V), value=True)
    return logits_BV.masked_fill(out[:, :V], NEVER)


def without(logits_BV: Tensor, ids: Sequence[int]) -> Tensor:
    """These ids are excluded."""
    return logits_BV.index_fill(-1, torch.tensor(ids, dtype=torch.int64, device=logits_BV.device), NEVER)


def pick(
    logits_BV: Tensor, left_BV: Tensor, how: Sampling, excluded: Sequence[int], uniform_B: np.ndarray | None
) -> tuple[Tensor, list[float | None]]:
    """Each row's next id (B,), and the model's log-probability of it in nats; None where nothing was left to choose.

    Args:
        logits_BV: of the model.
        left_BV: the same under the rules.
        excluded: ids that may not come yet, though no rule says so: those that would stop a row.
        uniform_B: in [0, 1), what is drawn by; None: nothing is drawn.
    """
    shaped = how.shape(without(left_BV, excluded) if excluded else left_BV)
    ids_B = shaped.argmax(dim=-1) if uniform_B is None else draw(shaped, torch.from_numpy(uniform_B).to(shaped.device))
    place = ids_B.clamp_max(shaped.shape[-1] - 1)[:, None]
    scores = logits_BV.log_softmax(dim=-1).gather(-1, place).squeeze(-1).tolist()
    possible = (shaped.gather(-1, place).squeeze(-1) > NEVER).tolist()
    return ids_B, [score if fine else None for score, fine in zip(scores, possible, strict=True)]


def likeliest(logits_BV: Tensor, n_B: Sequence[int]) -> list[tuple[tuple[int, float], ...]]:
    """Of each row its n most likely ids with their log-probabilities in nats, the most likely one first; all there are
    where that is fewer."""
    most = min(max(n_B, default=0), logits_BV.shape[-1])
    if not most:
        return [()] * len(n_B)
    found = logits_BV.log_softmax(dim=-1).topk(most, dim=-1)
    rows = zip(found.indices.tolist(), found.values.tolist(), n_B, strict=True)
    return [tuple(zip(ids[:n], scores[:n], strict=True)) for ids, scores, n in rows]


def keys_of(seed: int, prompt: Sequence[int], returns: int) -> np.ndarray:
    """(returns,) uint64: what each answer to a prompt draws by. Of seed, prompt and the answer's number alone."""
    text = f"{seed}:{','.join(map(str, prompt))}"
    digests = [hashlib.blake2b(f"{n}:{text}".encode(), digest_size=8).digest() for n in range(returns)]
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def uniforms(keys_B: np.ndarray, step: int) -> np.ndarray:
    """(B,) numbers in [0, 1): the step-th of each key's SplitMix64 (Steele et al. 2014)."""
    z = keys_B + np.uint64((step + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def draw(logits_BV: Tensor, u_B: Tensor) -> Tensor:
    """(B,) int64: the id at which the summed probability passes u (float64), in the order of ids."""
    sums = logits_BV.double().softmax(dim=-1).cumsum(dim=-1)
    # Not over the sum, which rounding may leave below 1: an id of no probability could be the last.
    passed = torch.searchsorted(sums, (u_B[:, None] * sums[:, -1:]).contiguous(), right=True).squeeze(-1)
    last = (sums < sums[:, -1:]).sum(dim=-1)  # the last id that adds something
    return torch.minimum(passed, last)
