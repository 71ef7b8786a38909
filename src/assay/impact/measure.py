"""From the ledger to numbers with intervals: bits per byte by run and target, and paired differences.

Two things make a measured difference uncertain, and both are counted:

    seeds       another initialisation and order would give another number. Cells share seeds, so the difference is
                taken seed by seed; its variance is shrunk towards the one pooled over all cells.
    documents   other held-out documents would give another number: the variance of the mean over documents of their
                own paired differences (a ratio estimator, since a loss is per byte). Pieces of one text count as one.

The variance over seeds is shrunk as far as the cells are alike: where their own variances differ more than their
few seeds explain, each counts for itself (an empirical Bayes prior; Smyth 2004).

Cells need not have the same seeds: a difference is taken over those that both have, and each cell's variance counts
with its own degrees of freedom.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from scipy import special, stats

from assay.ledger import Ledger
from assay.metrics.ratio import ratio_variance
from assay.store import Artifact

Split = Literal["eval", "test"]
MEAN = ""  # the target that is the mean over sources
POOLED_WEIGHT = 8.0  # degrees of freedom that the pooled variance counts for, at most, against a cell's own
SHARED_BASELINE = 0.25  # correlation of two cells' variances: their differences share a baseline, and correlate by 1/2


@dataclass(frozen=True)
class Difference:
    """A paired difference in bits per byte, with what is needed to judge it."""

    estimate: float
    se_seeds: float
    se_documents: float
    df_seeds: float
    df_documents: float = 1e6
    n_seeds: int = 1  # that it is the mean over

    @property
    def se(self) -> float:
        return float(np.hypot(self.se_seeds, self.se_documents))

    @cached_property
    def df(self) -> float:
        """Welch and Satterthwaite's degrees of freedom."""
        parts = self.se_seeds**4 / self.df_seeds + self.se_documents**4 / self.df_documents
        return float(min(1e6, self.se**4 / parts)) if parts > 0 else 1e6

    def interval(self, level: float) -> tuple[float, float]:
        half = float(stats.t.ppf(0.5 + level / 2, self.df)) * self.se
        return self.estimate - half, self.estimate + half

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference."""
        if self.se == 0:
            return 1.0 if self.estimate == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.estimate) / self.se, self.df))

    def minimum_detectable(self, threshold: float, power: float = 0.8) -> float:
        """The smallest true difference that is found at p < `threshold` with probability `power`."""
        return float(stats.t.isf(threshold / 2, self.df) + stats.t.ppf(power, self.df)) * self.se


@dataclass(frozen=True)
class _Documents:
    source: np.ndarray  # (documents,) index of the source
    n_bytes: np.ndarray
    unit: np.ndarray  # (documents,) number of what was drawn by chance, within the source


class Measurements:
    """Losses of all runs of a study, by cell, tokens and seed.

    Args:
        ledger, parts: where the runs are.
        evaluation: split -> table of documents (doc_id, source, unit, n_tokens, n_bytes).
        splits: which splits to read. The test split is read by registered predictions alone.
    """

    def __init__(
        self,
        ledger: Ledger,
        parts: Iterable[Artifact],
        evaluation: dict[str, pl.DataFrame],
        splits: tuple[Split, ...] = ("eval",),
    ) -> None:
        parts = list(parts)
        self.sources = sorted(_measurable(evaluation["eval"]) & _measurable(evaluation["test"]))
        self.targets = [MEAN, *self.sources]
        self._documents = {split: self._document_arrays(evaluation[split]) for split in splits}
        self._nll: dict[tuple[str, int, int, str], np.ndarray] = {}
        for split in splits:
            self._read(ledger, parts, evaluation[split], split)
        self.seeds = sorted({seed for _, _, seed, _ in self._nll})

    def _document_arrays(self, table: pl.DataFrame) -> _Documents:
        index = {source: i for i, source in enumerate(self.sources)}
        source = np.array([index.get(s, -1) for s in table["source"]], dtype=np.int64)
        return _Documents(source, table["n_bytes"].to_numpy().astype(float), table["unit"].to_numpy())

    def _read(self, ledger: Ledger, parts: list[Artifact], documents: pl.DataFrame, split: Split) -> None:
        rows = ledger.query(
            parts,
            f"""SELECT r.cell, r.D, r.seed, d.doc_id, d.nll FROM document_losses d JOIN runs r USING (run_id)
                WHERE d.split = '{split}' AND r.status = 'done'""",
        )
        order = documents.select("doc_id").with_row_index("place")
        joined = rows.join(order, on="doc_id").sort("place")
        for (cell, tokens, seed), group in joined.group_by("cell", "D", "seed", maintain_order=True):
            if len(group) == len(documents):
                self._nll[cell, tokens, seed, split] = group["nll"].to_numpy() / np.log(2)

    def add(self, cell: str, tokens: int, seed: int, split: Split, nll: np.ndarray) -> None:
        """Losses (nats of each document) of what is no run of the ledger."""
        self._nll[cell, tokens, seed, split] = nll / np.log(2)

    def of(self, seeds: Iterable[int]) -> Measurements:
        """The same losses, of these seeds alone."""
        found = copy.copy(self)
        found.seeds = sorted(seeds)
        return found

    def has(self, cell: str, tokens: int, split: Split = "eval") -> bool:
        """Whether every seed has that run."""
        return self.common((cell, tokens), split=split) == self.seeds

    def common(self, *runs: tuple[str, int], split: Split = "eval") -> list[int]:
        """The seeds that all of these runs (cell, tokens) have."""
        return [seed for seed in self.seeds if all((*run, seed, split) in self._nll for run in runs)]

    def bits(self, cell: str, tokens: int, split: Split = "eval", seeds: Sequence[int] | None = None) -> np.ndarray:
        """(seeds, documents) bits of each held-out document; of all seeds, or of some."""
        return np.stack([self._nll[cell, tokens, seed, split] for seed in (self.seeds if seeds is None else seeds)])

    def bpb(self, cell: str, tokens: int, split: Split = "eval", seeds: Sequence[int] | None = None) -> np.ndarray:
        """(seeds, targets) bits per byte: the mean over sources first, then each source; of all seeds, or of some."""
        documents = self._documents[split]
        own = np.stack([documents.source == i for i in range(len(self.sources))])
        by_source = self.bits(cell, tokens, split, seeds) @ own.T / (own @ documents.n_bytes)
        return np.concatenate([by_source.mean(axis=1, keepdims=True), by_source], axis=1)

    def by_source(self, split: Split = "eval") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of every source which documents are its own, and the bytes of all documents."""
        documents = self._documents[split]
        return ((documents.source == i, documents.n_bytes) for i in range(len(self.sources)))

    def document_variance(
        self, a: tuple[str, int], b: tuple[str, int], split: Split = "eval"
    ) -> tuple[np.ndarray, np.ndarray]:
        """(targets,) variance of the difference a - b, averaged over the seeds of both, from the choice of documents,
        and its degrees of freedom (Satterthwaite's over sources for their mean)."""
        seeds = self.common(a, b, split=split)
        return self._over_documents((self.bits(*a, split, seeds) - self.bits(*b, split, seeds)).mean(axis=0), split)

    def _over_documents(self, change: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """`document_variance` of (documents,) bits."""
        documents = self._documents[split]
        by_source, df = np.zeros(len(self.sources)), np.zeros(len(self.sources))
        for i in range(len(self.sources)):
            own = documents.source == i
            _, unit = np.unique(documents.unit[own], return_inverse=True)
            sums = [np.bincount(unit, weights=values[own]) for values in (change, documents.n_bytes)]
            by_source[i], df[i] = ratio_variance(*sums), len(sums[0]) - 1
        parts = (by_source**2 / df).sum()
        df_mean = by_source.sum() ** 2 / parts if parts > 0 else df.sum()
        return np.concatenate([[by_source.sum() / len(by_source) ** 2], by_source]), np.concatenate([[df_mean], df])

    def differences(
        self, cells: list[str], baseline: str | Mapping[str, str], tokens: int, split: Split = "eval"
    ) -> dict[str, list[Difference]]:
        """Of each cell against the baseline (one for all, or each its own) at the same number of tokens, over the seeds
        that both have: one difference a target.

        The variance over seeds of a target's paired differences is pooled over the cells and shrunk to: each
        cell's own counts with its S - 1 degrees of freedom, the pooled one with those of `_pooled_weight`.
        """
        pairs = [
            ((cell, tokens), (baseline if isinstance(baseline, str) else baseline[cell], tokens)) for cell in cells
        ]
        changes = [self._changes(*pair, split) for pair in pairs]
        variances, df = _shrunk(changes, SHARED_BASELINE)
        return {
            cell: self._judged(change, variance, self.document_variance(*pair, split), own)
            for cell, pair, change, variance, own in zip(cells, pairs, changes, variances, df, strict=True)
        }

    def _changes(self, a: tuple[str, int], b: tuple[str, int], split: Split) -> np.ndarray:
        """(seeds, targets) bits per byte of a less those of b, of the seeds that both have."""
        seeds = self.common(a, b, split=split)
        return self.bpb(*a, split, seeds) - self.bpb(*b, split, seeds)

    def interactions(
        self, of: Mapping[str, tuple[str, str]], baseline: str, alike: Sequence[str], tokens: int, split: Split = "eval"
    ) -> dict[str, list[Difference]]:
        """How far the effect of a cell in which two things were changed is from the sum of their effects: its loss less
        those of the cells of either, plus that of the baseline. One difference a target.

        Four runs differ in their luck where a paired difference has that of two: the variance over seeds is shrunk
        towards twice that of the cells that are `alike`.

        Args:
            of: cell -> the cells in which either was changed alone.
        """

        def contrast(values: Callable[[str, int, Split], np.ndarray], cell: str) -> np.ndarray:
            first, second = (values(name, tokens, split) for name in of[cell])
            return values(cell, tokens, split) - first - second + values(baseline, tokens, split)

        changes = [contrast(self.bpb, cell) for cell in of]
        base = self.bpb(baseline, tokens, split)
        others = [2**0.5 * (self.bpb(cell, tokens, split) - base) for cell in alike]
        variances, df = _shrunk([*changes, *others], SHARED_BASELINE)
        return {
            cell: self._judged(change, variance, self._over_documents(contrast(self.bits, cell).mean(0), split), own)
            for cell, change, variance, own in zip(of, changes, variances, df, strict=False)
        }

    @staticmethod
    def _judged(
        changes: np.ndarray, variance: np.ndarray, documents: tuple[np.ndarray, np.ndarray], df: float
    ) -> list[Difference]:
        """One difference a target, from (seeds, targets) changes, their (targets,) variance over seeds and its degrees
        of freedom, and what documents add."""
        n = len(changes)
        return [
            Difference(float(m), float((s / n) ** 0.5), float(d**0.5), float(df), float(f), n)
            for m, s, d, f in zip(changes.mean(axis=0), variance, *documents, strict=True)
        ]

    def along_trunk(self, cell: str, sizes: list[int], split: Split = "eval") -> list[Difference]:
        """What the tokens from one branch of the same trunks to a longer one changed, one difference a target.

        Args:
            sizes: tokens of branches in pairs, ..., (shorter, longer), each pair as far apart as the last one, which
                is the one that is measured; the variance over seeds is pooled over all of them.
        """
        pairs = list(zip(sizes[::2], sizes[1::2], strict=True))
        changes = [self.bpb(cell, longer, split) - self.bpb(cell, shorter, split) for shorter, longer in pairs]
        variances, df = _shrunk(changes, 0.0)
        shorter, longer = pairs[-1]
        documents = self.document_variance((cell, longer), (cell, shorter), split)
        return self._judged(changes[-1], variances[-1], documents, df[-1])

    def between(self, change: np.ndarray, a: tuple[str, int], b: tuple[str, int], split: Split) -> list[Difference]:
        """Differences from (seeds, targets) changes of a against b, with no pooling over cells."""
        return self._judged(change, change.var(axis=0, ddof=1), self.document_variance(a, b, split), len(change) - 1)

    def continued(
        self, cell: str, baseline: str, half: int, tokens: int, doublings: float, split: Split = "eval"
    ) -> list[Difference]:
        """What a difference would be so many doublings beyond `tokens`, if it goes on, per doubling, as it changed from
        `half` to there; seed by seed and document by document, since the runs share both. One a target."""
        step = doublings / float(np.log2(tokens / half))
        seeds = self.common(*((name, size) for name in (cell, baseline) for size in (half, tokens)), split=split)

        def on(values: Callable[[str, int, Split, Sequence[int]], np.ndarray]) -> np.ndarray:
            now, before = (
                values(cell, size, split, seeds) - values(baseline, size, split, seeds) for size in (tokens, half)
            )
            return (1 + step) * now - step * before

        change = on(self.bpb)
        documents = self._over_documents(on(self.bits).mean(axis=0), split)
        return self._judged(change, change.var(axis=0, ddof=1), documents, len(change) - 1)

    def levels(self, cell: str, tokens: int, split: Split = "eval") -> list[Difference]:
        """Bits per byte themselves, one a target, with what other seeds and other documents would change."""
        found = self.bpb(cell, tokens, split)
        documents = self._over_documents(self.bits(cell, tokens, split).mean(axis=0), split)
        return self._judged(found, found.var(axis=0, ddof=1), documents, len(found) - 1)


def seed_interval(losses: np.ndarray, level: float) -> tuple[float, tuple[float, float]]:
    """The mean of (seeds,) losses and its interval by Student's t."""
    n, mean = len(losses), float(losses.mean())
    half = float(stats.t.ppf(0.5 + level / 2, n - 1) * losses.std(ddof=1) / n**0.5)
    return mean, (mean - half, mean + half)


def _shrunk(changes: Sequence[np.ndarray], alike: float) -> tuple[np.ndarray, np.ndarray]:
    """Of (seeds, targets) changes of each cell, as many seeds as it has: (cells, targets) variances over seeds, each
    drawn towards the mean over cells (by degrees of freedom), and the (cells,) degrees of freedom that they have then.
    `alike` is the correlation of two cells' estimates."""
    variances = np.stack([change.var(axis=0, ddof=1) for change in changes])
    df = np.array([len(change) - 1.0 for change in changes])
    weight = _pooled_weight(variances, df, alike)
    pooled = np.average(variances, axis=0, weights=df)
    return (weight * pooled + df[:, None] * variances) / (weight + df)[:, None], weight + df


def _pooled_weight(variances: np.ndarray, df: np.ndarray, alike: float) -> float:
    """Degrees of freedom that the mean of (cells, targets) variances, of (cells,) degrees of freedom, is worth against
    a cell's own.

    At most those of an average over the other cells, whose estimates correlate by `alike`. Less where the cells'
    true variances differ: the logarithm of an estimated variance has the mean digamma(df / 2) - log(df / 2) about that
    of the true one, and varies by trigamma(df / 2) if these are equal; what it varies more is trigamma(d / 2) of a
    prior with d degrees of freedom (Smyth 2004, section 6.2).
    """
    others = len(variances) - 1
    if others < 1:
        return 0.0
    most = min(POOLED_WEIGHT, others * float(df.mean()) / (1 + (others - 1) * alike))
    logs = np.log(np.maximum(variances, 1e-30)) - (special.digamma(df / 2) - np.log(df / 2))[:, None]
    between = float(logs.var(axis=0, ddof=1).mean()) - float(special.polygamma(1, df / 2).mean())
    return min(most, 2 * _inverse_trigamma(between)) if between > 0 else most


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value, by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        now = float(special.polygamma(1, x))
        step = now * (1 - now / value) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x


def _measurable(documents: pl.DataFrame) -> set[str]:
    """Sources with at least two units: one alone says nothing of how much they differ."""
    units = documents.group_by("source").agg(pl.col("unit").n_unique())
    return {source for source, n in units.iter_rows() if n >= 2}
