"""The recipe of a study."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from assay.recipe.sections import CorpusRecipe, Section
from assay.store import fingerprint

COPYING = {"near_duplicates", "exact_duplicates"}
"""Defects that put copies of the same passages into the text."""


class TokensRecipe(Section):
    """The tokenizer and the evaluation text."""

    vocabulary: int | None = Field(
        None, ge=300, le=65536, description="token ids; derived from the budget when not given"
    )
    sample_bytes: int = Field(6_000_000, ge=10_000, description="training text of the tokenizer, balanced over sources")
    eval_tokens: int | None = Field(None, ge=256, description="held-out tokens a source; derived when not given")


class TrainRecipe(Section):
    """The proxies and how they are trained."""

    seeds: int | None = Field(
        None, ge=2, le=64, description="runs of each cell, paired by seed; derived when not given"
    )
    layers: int | None = Field(None, ge=1, le=48, description="decoder layers; derived when not given")
    width: int | None = Field(None, ge=16, le=4096, multiple_of=16, description="model width; derived when not given")
    row_tokens: int = Field(64, ge=16, le=1024, description="tokens of context, T")
    batch_rows: int = Field(16, ge=1, le=4096, description="rows a step, B")
    matrix_optimizer: Literal["muon", "adamw"] = Field(
        "muon", description="optimizer of the matrices inside the layers"
    )
    matrix_lr: float = Field(
        0.01, gt=0, description="peak learning rate of those matrices (AdamW wants about a third of Muon's)"
    )
    embedding_lr: float = Field(0.1, gt=0, description="peak learning rate of the embedding (AdamW)")
    head_lr: float = Field(0.02, gt=0, description="peak learning rate of the output matrix (AdamW)")
    decay_share: float = Field(0.25, gt=0, lt=1, description="share of a run that the learning rate decays over")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="type of the arithmetic; auto: the faster of both in the probe (float32 with --tokens)",
    )
    engine: Literal["auto", "processes", "stacked"] = Field(
        "auto",
        description="who trains the fleet: processes, a run each, or one that trains stacks of runs on one device; "
        "auto: stacked where there is a GPU",
    )
    workers: int | None = Field(None, ge=1, description="processes of the fleet; one a core when not given")
    members: int | None = Field(
        None, ge=1, description="runs of a stack, at most; as many as fit into memory when not given"
    )


Defect = Literal[
    "near_duplicates", "exact_duplicates", "character_noise", "misread", "shuffle_words", "boilerplate", "html_residue",
    "mojibake", "truncated", "hard_wrapped", "unpunctuated", "lower_case", "joined", "wrong_language", "wrong_source",
    "markov_text", "repeated",
]  # fmt: skip
"""Those of the corpus room (`corpus.altering.damage`) that damage training text; and text that is read again instead of
fresh text, which is none, but costs likewise."""
MOST_REPEATED = 0.95  # of the text: twenty passes


class DesignRecipe(Section):
    """The questions, and how finely they are asked."""

    axes: tuple[Literal["size", "quality", "distribution"], ...] = Field(
        ("size", "quality", "distribution"), min_length=1, description="which questions to ask"
    )
    defects: tuple[Defect, ...] = Field(
        ("near_duplicates", "character_noise"), min_length=1, description="damages whose dose-response is measured"
    )
    doses: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.25, 0.5), min_length=1, description="shares of the training text that are damaged"
    )
    damaged_sources: tuple[str, ...] = Field(
        (), description="sources that each defect is planted in alone, too: is it seen which one is damaged?"
    )
    together: tuple[tuple[Defect, Defect], ...] = Field(
        (),
        description="pairs of defects that are planted together, each at every dose: do they cost more than the sum?",
    )
    held_out_doses: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (), description="doses that no fit sees: the effect of each defect there is predicted, then measured"
    )
    held_out_mixtures: int = Field(1, ge=1, le=16, description="mixtures that no fit sees, predicted, then measured")
    filters: tuple[str, ...] = Field(
        (), description="filters whose effect is measured: rule packs or rules joined by +, or SQL over signals"
    )
    leaks: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        (), description="copies of held-out documents in training text: what does a model gain on what it has seen?"
    )
    orders: tuple[str, ...] = Field(
        (), description="SQL over signals in whose rising order the same text is read: n_words, -n_words (falling)"
    )
    scales: tuple[
        tuple[Annotated[int, Field(ge=1, le=200)], Annotated[int, Field(ge=16, le=4096, multiple_of=2)]], ...
    ] = Field(
        (), description="other proxies, as [layers, width], that read the same text: what does a larger one change?"
    )
    rates: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        (), description="factors on the learning rates, tried with every proxy: [0.5, 2] says whether they suit it"
    )
    noise_rate: float = Field(
        0.1, gt=0, lt=1, description="share of characters altered in a damaged document (character_noise, misread)"
    )
    copies: int = Field(
        8, ge=1, description="copies of each copied passage at the highest dose (both kinds of duplicates)"
    )
    edit_rate: float = Field(0.03, ge=0, lt=1, description="share of words altered in a near-copy")
    upweight: float = Field(3.0, gt=1, description="factor on a source's odds in its up-weighted mixture")
    size_branches: int = Field(
        7, ge=5, le=12, description="sample sizes of the size law, which is fitted on the last and judged by the others"
    )
    second_pass: float = Field(
        0.0, ge=0, le=0.5, description="share of the training kept back for more seeds of recipes that are hard to tell"
    )
    level: float = Field(0.9, gt=0.5, lt=1, description="level of all intervals")
    false_discovery_rate: float = Field(
        0.05, gt=0, lt=0.5, description="expected share of false ones among supported claims"
    )

    @model_validator(mode="after")
    def _held_out_of_the_fit(self) -> Self:
        if both := set(self.doses) & set(self.held_out_doses):
            raise ValueError(f"dose {min(both):g} is in doses and in held_out_doses; take it out of one")
        highest = max(*self.doses, *self.held_out_doses, 0.0)
        if "repeated" in self.defects and highest > MOST_REPEATED:
            raise ValueError(f"repeated: dose {highest:g} leaves too little to repeat; give {MOST_REPEATED} at most")
        return self

    @model_validator(mode="after")
    def _other_rates(self) -> Self:
        if 1.0 in self.rates:
            raise ValueError("rates holds 1, with which every proxy is trained anyway; take it out")
        return self

    @model_validator(mode="after")
    def _room_for_two(self) -> Self:
        for a, b in self.together:
            if a == b or "repeated" in (a, b):
                raise ValueError(f"{a} and {b} cannot be planted together; give two kinds of damage, repeated is none")
            if {a, b} == COPYING:
                raise ValueError(f"{a} and {b} copy the same passages; give one of them, and another kind of damage")
            if lacking := {a, b} - {*self.defects}:
                raise ValueError(f"{min(lacking)} is in together and not in defects; name it in both")
        if self.together and "quality" not in self.axes:
            raise ValueError("together asks of defects, and axes does not hold quality; name it there")
        if self.together and 2 * min(self.doses) > 1:
            raise ValueError(f"dose {min(self.doses):g} leaves no room for two defects; give one of 0.5 at most")
        return self


class StudyRecipe(Section):
    """A study, whole."""

    corpus: CorpusRecipe = CorpusRecipe()
    tokens: TokensRecipe = TokensRecipe()
    train: TrainRecipe = TrainRecipe()
    design: DesignRecipe = DesignRecipe()
    seed: int = Field(0, ge=0, description="seed of the study: its mixtures, defects and runs")
    title: str | None = Field(None, description="title of the report")

    def identity(self) -> dict[str, Any]:
        """All that results depend on: not how the page is called, nor who did the work (which engine did, the folder of
        the study remembers)."""
        return self.model_dump(mode="json", exclude={"title": True, "train": {"engine", "workers", "members"}})

    def fingerprint(self) -> str:
        return fingerprint(self.identity())
