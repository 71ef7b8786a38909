"""The core of the runners, by numpy alone: the likeliest row of tags, and what it imports."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from assay.export.runners.engine import best_tags, filled
from assay.models.crf import Transitions


def _drawn(labels: int, seed: int) -> tuple[Transitions, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    generator = torch.Generator().manual_seed(seed)
    of = Transitions(labels)
    with torch.no_grad():
        for parameter in of.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    allowed = []
    for parameter in of.parameters():
        barred = torch.rand(parameter.shape, generator=generator) < 0.2
        allowed.append(torch.where(barred, -torch.inf, 0.0).numpy())
    return of, tuple(p.detach().numpy() for p in of.parameters()), tuple(allowed)


@pytest.mark.parametrize("words", [1, 2, 5])
@pytest.mark.parametrize("with_rules", [False, True])
def test_the_row_of_tags_is_the_best_of_all_rows(words: int, with_rules: bool) -> None:
    """By going through all of them."""
    _, parts, allowed = _drawn(3, words)
    scores = np.random.default_rng(words).normal(size=(words, 3)).astype(np.float32)
    follows, begins, ends = (a + b for a, b in zip(parts, allowed, strict=True)) if with_rules else parts

    def weight(row: tuple[int, ...]) -> float:
        own = sum(scores[i, tag] for i, tag in enumerate(row)) + begins[row[0]] + ends[row[-1]]
        return float(own + sum(follows[a, b] for a, b in itertools.pairwise(row)))

    best = max(itertools.product(range(3), repeat=words), key=weight)
    assert best_tags(scores, parts, allowed if with_rules else None).tags_W.tolist() == list(best)


def test_tags_and_their_chances_are_those_of_our_own_crf() -> None:
    of, parts, allowed = _drawn(5, 7)
    scores = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32) * 2
    scores_BWL, inside = torch.from_numpy(scores)[None], torch.ones(1, 9, dtype=torch.bool)
    found = best_tags(scores, parts, allowed)
    rules = tuple(map(torch.from_numpy, allowed))
    tags = of.best(scores_BWL, inside, rules)[0].numpy()  # type: ignore[arg-type]
    likely = of.marginals(scores_BWL, inside)[0].numpy()[np.arange(9), tags]
    assert found.tags_W.tolist() == tags.tolist()
    np.testing.assert_allclose(found.likely_W, likely, rtol=1e-4)


def test_without_transitions_each_tag_is_told_by_itself() -> None:
    scores = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    found = best_tags(scores, None)
    assert found.tags_W.tolist() == scores.argmax(1).tolist()
    assert best_tags(scores[:0], None).tags_W.tolist() == []


def test_rows_are_filled_behind_or_before() -> None:
    ids, mask = filled([[5, 6, 7], [8]], 9)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert filled([[5, 6], [8]], before=True)[0].tolist() == [[5, 6], [0, 8]]


def test_the_core_runs_where_there_is_no_torch() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'polars', 'pyarrow', 'scipy', 'tokenizers', 'pydantic'): sys.modules[name] = None\n"
        "import assay.export.runners.engine as engine\n"
        "print(engine.best_tags.__name__, sorted(n for n in sys.modules if n.startswith('assay')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    own = {"assay", "assay.export", "assay.export.runners", "assay.export.runners.engine"}
    assert set(eval(done.stdout.split(" ", 1)[1])) == own
