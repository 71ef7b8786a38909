"""Everything that a person can set about how a model writes, in one value.

    Settings(temperature=0.8, top_p=0.95, stop=("\\n",), seed=3)

Which search it is follows from the values: `alpha` asks for contrastive search, `beams` above 1 for beams, a
temperature above 0 for sampling, and otherwise the likeliest token is taken at each step. What contradicts itself is
refused here, before a model is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from assay.errors import InputError
from assay.inference.beam import Beams
from assay.inference.sampling import Rules, Sampling

Search = Literal["greedy", "sampling", "beams", "contrastive"]
CONSTRAINTS = ("choices", "regex", "json_schema", "grammar")
CANDIDATES = 4  # of contrastive search, where top_k is not given (Su et al. 2022)


@dataclass(frozen=True)
class Settings:
    """How a model writes.

    Attributes:
        max_new_tokens, min_new_tokens: of an answer.
        temperature: 0: the likeliest token; above: drawn, the flatter the higher.
        top_k, top_p, min_p, typical: what is left to draw from; see `inference.sampling.Sampling`.
        repetition: above 1, what was said is said less (Keskar et al. 2019); 1: as the model has it.
        no_repeat: no stretch of so many tokens comes twice; 0: it may.
        beams: continuations that beam search holds open; 1: none.
        length_penalty: exponent of the length that a beam's log-probability is divided by.
        n: answers to a prompt: drawn ones, or the best of the beams.
        alpha: weight of contrastive search's penalty, over the `top_k` likeliest tokens (Su et al. 2022).
        stop: texts that end an answer, and are no part of it.
        seed: of what is drawn.
        choices, regex, json_schema, grammar: what an answer has to be: one of some texts, a match of a regular
            expression, JSON of a schema (an object or its text), or a sentence of a grammar in Lark's notation.
    """

    max_new_tokens: int = 128
    min_new_tokens: int = 0
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None
    repetition: float = 1.0
    no_repeat: int = 0
    beams: int = 1
    length_penalty: float = 1.0
    n: int = 1
    alpha: float | None = None
    stop: tuple[str, ...] = ()
    seed: int = 0
    choices: tuple[str, ...] = ()
    regex: str | None = None
    json_schema: str | Mapping[str, Any] | None = None
    grammar: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_new_tokens <= self.max_new_tokens or self.max_new_tokens < 1:
            what = f"{self.min_new_tokens} to {self.max_new_tokens} new tokens"
            raise _bad(what, "max_new_tokens", "give 0 <= min_new_tokens <= max_new_tokens, at least 1")
        if self.beams < 1 or self.n < 1:
            raise _bad(f"{self.beams} beams, {self.n} answers", "beams, n", "give 1 or more")
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise _bad(f"a penalty of {self.alpha}", "alpha", "give 0 to 1")
        if any(not text for text in self.stop):
            raise _bad("an empty stop string", "stop", "leave it out")
        if any(not text for text in self.choices):
            raise _bad("an empty choice", "choices", "leave it out")
        given = [name for name in CONSTRAINTS if getattr(self, name) not in (None, ())]
        if len(given) > 1:
            raise _bad(f"{' and '.join(given)} are both given", given[1], "give one of them")
        self._check_search()
        _ = self.sampling, self.beam, Rules(self.repetition, self.no_repeat)  # each refuses what it cannot do

    def _check_search(self) -> None:
        if self.beams > 1 and self.temperature > 0:
            raise _bad("beams are searched, and a temperature draws", "beams", "give one of both")
        if self.beams > 1 and self.n > self.beams:
            raise _bad(f"the {self.n} best of {self.beams} beams", "n", "give as many beams")
        if self.alpha is not None and (self.beams > 1 or self.temperature > 0):
            raise _bad("contrastive search neither draws nor has beams", "alpha", "leave temperature and beams out")
        if self.alpha is not None and self.constrained:
            raise _bad("contrastive search knows no constraint", "alpha", "leave alpha out, or the constraint")
        if self.n > 1 and self.search in ("greedy", "contrastive"):
            what = f"{self.n} answers are asked for, and without drawing all are the same"
            raise _bad(what, "n", "give a temperature, or as many beams")

    @property
    def search(self) -> Search:
        if self.alpha is not None:
            return "contrastive"
        if self.beams > 1:
            return "beams"
        return "sampling" if self.temperature > 0 else "greedy"

    @property
    def constrained(self) -> bool:
        """Whether an answer has to be of a form."""
        return any(getattr(self, name) not in (None, ()) for name in CONSTRAINTS)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_k, self.top_p, self.min_p, self.typical)

    @property
    def beam(self) -> Beams:
        return Beams(self.beams, min(self.n, self.beams), self.length_penalty)

    @property
    def candidates(self) -> int:
        """Of contrastive search."""
        return CANDIDATES if self.top_k is None else self.top_k

    def but(self, **given: Any) -> Settings:
        """These settings with others in their place; None stands for what is not given. Who asks for drawing or
        contrast has no beams unless they are given as well.

        Raises:
            InputError: there is no such setting, or it has a value that it cannot have.
        """
        known = {field.name for field in fields(self)}
        if unknown := sorted(given.keys() - known):
            raise _bad(f"there is no setting {unknown[0]!r}", "settings", f"there are {', '.join(sorted(known))}")
        values = {name: value for name, value in given.items() if value is not None}
        for name in ("stop", "choices"):
            if name in values:
                values[name] = _texts(values[name])
        for name, value in values.items():
            _check_type(name, value)
        if (values.get("temperature") or "alpha" in values) and "beams" not in values:
            values["beams"] = 1
        return replace(self, **values)


def _bad(what: str, where: str, remedy: str) -> InputError:
    return InputError(what, where=where, remedy=remedy)


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


_WHOLE = {"max_new_tokens", "min_new_tokens", "top_k", "no_repeat", "beams", "n", "seed"}
_TEXT = {"regex", "grammar"}


def _check_type(name: str, value: Any) -> None:
    """Values come from programs and from JSON, too."""
    if name in ("stop", "choices"):
        fine, wanted = all(isinstance(text, str) for text in value), "texts"
    elif name in _WHOLE:
        fine, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    elif name in _TEXT:
        fine, wanted = isinstance(value, str), "a text"
    elif name == "json_schema":
        fine, wanted = isinstance(value, str | Mapping | bool), "an object, or its text"
    else:
        fine, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    if not fine:
        raise _bad(f"{json.dumps(value, default=str, ensure_ascii=False)} is not {wanted}", name, f"give {wanted}")
