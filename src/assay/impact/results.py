"""Everything that a study's page shows, as one value (`results.json`).

`impact` computes it, `report` renders it and adds nothing. Losses are bits per byte (bpb) of clean held-out text,
lower is better; effects are differences in bpb against the natural baseline with the same seed. Intervals are
(low, high) at `level`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from assay.impact.claims import Claim, Pair
from assay.present.words import Both


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Effect(_Value):
    """A paired difference against the baseline. `supported` is corrected for the study's number of claims; None where
    nothing is claimed (a held-out mixture)."""

    estimate: float
    interval: Pair
    p_value: float
    supported: bool | None


class SourceProfile(_Value):
    """One source of the corpus as it was found; shares are of documents unless the name says otherwise."""

    source: str
    documents: int
    bytes: int
    share: float  # of the corpus's bytes
    train_documents: int
    eval_documents: int
    test_documents: int
    languages: dict[str, float]  # language code -> share of documents, the commonest few
    exact_duplicates: float  # share of documents that repeat an earlier one
    near_duplicates: float  # share of documents that nearly repeat an earlier one (exact ones included)
    median_chars: float
    repetition: float  # mean share of characters in repeated lines
    letters: float  # mean share of characters that are letters (any script)
    bytes_per_token: float | None


class CurvePoint(_Value):
    """Mean over seeds of one branch of the trunk."""

    tokens: int
    bpb: float
    interval: Pair
    held_out: bool


class Curve(_Value):
    """Loss against training tokens for one target (`""` is the mean over sources)."""

    target: str
    points: list[CurvePoint]


class BaselineRow(_Value):
    """The n-gram model and the neural one on one target's text."""

    target: str
    bpb: float  # of the n-gram model
    interval: Pair  # over seeds and documents
    model_bpb: float
    difference: Effect  # the neural model's bpb less the n-gram model's


class Baseline(_Value):
    """An n-gram model (modified Kneser-Ney) of the text that the natural runs read, seed by seed."""

    order: int
    tokens: int  # that it was fitted to: those of a comparison run, or as many as memory allows
    curves: list[Curve]
    rows: list[BaselineRow]


class LawView(_Value):
    """bpb = floor + scale * D^-exponent, its band, and the points that it was not fitted on."""

    model: str
    parameters: dict[str, float]
    band: list[tuple[float, float, float, float]]  # tokens, predicted, low, high
    points: list[CurvePoint]
    fitted_from: int  # tokens of the smallest point that it was fitted to; smaller ones judge past forecasts
    prediction: tuple[float, float, float] | None  # registered for the held-out run: value, low, high
    # factor on the longest fitted run's data, change in bpb (negative is better), low, high
    more_data: list[tuple[float, float, float, float]]


class DosePoint(_Value):
    dose: float  # share of the training text that is damaged
    effect: Effect
    tokens_lost: tuple[float, float, float] | None  # share of the training tokens: value, low, high; None: off curve
    held_out: bool = False  # no fit has seen it


class DoseView(_Value):
    defect: str
    points: list[DosePoint]
    note: dict[str, str]  # language -> what exactly was planted


class DamagedRow(_Value):
    """A defect in one source alone, and its effect on each source's text and the mean ("")."""

    defect: str
    dose: float  # share of that source's training text
    source: str
    worst: str  # the source whose text suffers most
    found: bool  # it is the damaged one, and its effect is supported
    effects: dict[str, Effect]


class TogetherRow(_Value):
    """Two defects in the training text, each in a share of it, and how far what both do is from the sum of what each
    does alone (positive: worse)."""

    defects: tuple[str, str]
    dose: float  # share of the training text that each is in
    effect: Effect
    interaction: Effect
    tokens_lost: tuple[float, float, float] | None  # to both; as in `DosePoint`


class ScaleRow(_Value):
    """A proxy on the corpus as it is, with its own learning rates or others. The effect is against the study's own
    proxy, that of other rates against the same proxy with its own; None: that is what others are compared with."""

    layers: int
    width: int
    parameters: int  # non-embedding
    rate: float  # factor on the learning rates
    bpb: float
    interval: Pair  # over seeds
    effect: Effect | None


class LeakRow(_Value):
    """Held-out documents that stand in the training text, and what the loss on them gained: against the runs without,
    less what documents gained that were planted nowhere."""

    copies: int
    effect: Effect


class OrderRow(_Value):
    """The same text in the order of an expression over signals, and what that does to each source's text and the mean
    ("")."""

    order: str
    effects: dict[str, Effect]


class FilterRow(_Value):
    """What a filter keeps, and what that does to each source's text and the mean ("")."""

    name: str
    kept: dict[str, float]  # share of each source's training text
    share: float  # of all training text
    effects: dict[str, Effect]  # against as much text kept at random
    against_natural: Effect  # of the mean, against the corpus as it is


class DecisionRow(_Value):
    """A way to use the corpus, and how likely it is the best one."""

    cell: str
    label: Both
    effect: Effect | None  # of the mean, against the corpus as it is; None: that itself
    seeds: int | None = None  # that it was run with
    best: float  # probability at the size of the runs
    best_at_target: float
    better_at_target: float | None  # than the corpus as it is


class SecondPassView(_Value):
    """More seeds of some recipes, chosen by what the first pass left open."""

    runs: int  # that were kept back for it
    spent: int
    seeds: dict[str, int]  # cell -> new seeds, the corpus as it is first
    regret: float  # bpb that the choice by the first pass was expected to lose against the best recipe
    gain: float  # of that, what the new seeds were expected to win


class DecisionView(_Value):
    """Which recipe to choose, and how often runs of half the size would have ordered the cells alike."""

    run_tokens: int
    half_tokens: int
    target_tokens: int  # all of the corpus
    rows: list[DecisionRow]
    pairs: int
    agreed: int
    interval: tuple[float, float]  # of the share that agreed
    separated: int  # pairs that the larger runs tell apart
    separated_agreed: int
    advice: list[Both]
    second: SecondPassView | None = None


class MixtureRow(_Value):
    """One mixture, its shares per source, and its effect on each source's text and on the mean ("")."""

    cell: str
    label: Both
    weights: dict[str, float]
    epochs: dict[str, float]  # how often each source's text was read: the part of the first seed
    effects: dict[str, Effect]
    held_out: bool


class MixtureView(_Value):
    sources: list[str]
    natural: dict[str, float]
    baseline_bpb: dict[str, float]
    rows: list[MixtureRow]


class Sample(_Value):
    """A held-out document with an extreme loss, for a person to read."""

    source: str
    doc_id: str
    origin: str
    bpb: float
    extreme: str  # "lowest" | "highest"
    text: str  # the beginning of what was evaluated


class Cost(_Value):
    seconds: float
    seconds_by_stage: dict[str, float]
    training_tokens: int
    flops: float
    energy_joules: float
    energy_how: str  # "measured" | "estimated"
    runs: int
    peak_memory_bytes: int
    tokens_per_second: float
    device: Both


class StudyResults(_Value):
    title: str
    command: str
    assay_version: str
    created_at: str
    fingerprints: dict[str, str]  # corpus, plan, tokenizer, ... -> hex
    budget: Both
    level: float
    n_seeds: int
    parameters: int  # non-embedding
    parameters_total: int
    architecture: Both
    tokenizer: Both
    run_tokens: int  # training tokens of each comparison run
    false_discovery_rate: float
    notices: list[Both]  # things a reader must know first: skipped rows, fallbacks, small corpora
    claims: list[Claim]
    profile: list[SourceProfile]
    skipped: list[tuple[str, Both]]  # origin, reason
    bad_rows: int
    bad_files: int
    curves: list[Curve]
    baseline: Baseline
    law: LawView | None
    doses: list[DoseView]
    damaged: list[DamagedRow] = []
    together: list[TogetherRow] = []
    scales: list[ScaleRow] = []
    leaks: list[LeakRow] = []
    orders: list[OrderRow] = []
    filters: list[FilterRow] = []
    decisions: DecisionView | None = None
    mixtures: MixtureView | None
    samples: list[Sample]
    cost: Cost

    @property
    def effects(self) -> list[Claim]:
        """The claims that are picked out of many by their verdict: all but predictions, which have an outcome."""
        return [claim for claim in self.claims if claim.kind != "prediction"]
