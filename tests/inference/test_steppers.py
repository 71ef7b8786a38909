"""Every family behind one interface: steps, rows in another order, likelihoods, prompts of several lengths."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from writers import ALL, NEURAL, PROMPTS, V, neural, writer

from assay.errors import InputError
from assay.inference.protocol import checked
from assay.inference.steppers import stepper
from assay.models import attention
from assay.models.memory import Memory
from assay.models.presets import Size, preset

CLOSE = {"rtol": 1e-5, "atol": 2e-5}


def logits_at_once(model: Any, prompt: list[int], new: list[int]) -> Tensor:
    """(V,) by one plain forward pass of the model, without any cache."""
    if hasattr(model, "next_probabilities"):
        return torch.from_numpy(model.next_probabilities([[*prompt, *new]]))[0].log()
    with torch.no_grad():
        if hasattr(model, "encode"):
            return model(torch.tensor([prompt]), torch.tensor([[model.config.start, *new]]))[0, -1]
        return model(torch.tensor([[*prompt, *new]]))[0, -1]


@pytest.mark.parametrize("name", ALL)
def test_steps_of_ragged_prompts_are_forward_passes_of_each_alone(name: str) -> None:
    """Rows are dropped, doubled and put in another order on the way."""
    model = writer(name)
    writing = stepper(model).begin(PROMPTS)
    texts: list[tuple[list[int], list[int]]] = [(prompt, []) for prompt in PROMPTS]
    orders = (None, [4, 0, 2, 0], None, [1, 0, 3, 2], [2, 2, 3, 3], None, [2, 0, 2, 0], [0, 1, 3])
    for step, order in enumerate(orders):
        for row, (prompt, new) in enumerate(texts):
            torch.testing.assert_close(writing.logits()[row], logits_at_once(model, prompt, new), **CLOSE)
        if order is not None:
            before = writing.logits()
            taken = writing.take(torch.tensor(order))
            assert torch.equal(writing.logits(), before)
            writing, texts = taken, [texts[row] for row in order]
        ids = [(7 * step + 3 * row) % (V - 1) + 1 for row in range(len(texts))]
        writing.step(torch.tensor(ids))
        texts = [(prompt, [*new, i]) for (prompt, new), i in zip(texts, ids, strict=True)]


@pytest.mark.parametrize("name", ALL)
def test_what_was_taken_from_can_be_taken_from_again(name: str) -> None:
    """Rows share nothing that a step changes."""
    writing = stepper(writer(name)).begin(PROMPTS)
    first, second = (writing.take(torch.arange(len(PROMPTS))) for _ in range(2))
    first.step(torch.full((len(PROMPTS),), 9))
    second.step(torch.full((len(PROMPTS),), 12))
    again = writing.take(torch.arange(len(PROMPTS)))
    again.step(torch.full((len(PROMPTS),), 9))
    assert torch.equal(first.logits(), again.logits())
    assert not torch.equal(first.logits(), second.logits())


@pytest.mark.parametrize("name", ALL)
def test_what_follows_has_the_log_probability_of_its_steps(name: str) -> None:
    of = stepper(writer(name))
    given = torch.tensor([[3, 4, 5, 6], [7, 8, -1, -1], [9, -1, -1, -1], [1, 1, 1, 2], [5, 6, 7, -1]])
    scores, best = of.begin(PROMPTS).follow(given)
    writing = of.begin(PROMPTS)
    for t in range(given.shape[1]):
        told = writing.logits().log_softmax(dim=-1)
        for b, i in enumerate(given[:, t].tolist()):
            expected = told[b, i] if i >= 0 else torch.zeros((), dtype=told.dtype)
            torch.testing.assert_close(scores[b, t], expected, **CLOSE)
            assert bool(best[b, t]) == (i < 0 or bool(told[b].argmax() == i))
        writing.step(given[:, t].clamp_min(0))


@pytest.mark.parametrize("name", NEURAL)
def test_a_model_stays_in_its_mode_and_dropout_says_nothing(name: str) -> None:
    model = neural(name, dropout=0.5)
    quiet = stepper(model).begin(PROMPTS)
    model.train()
    loud = stepper(model).begin(PROMPTS)
    assert torch.equal(quiet.logits(), loud.logits())
    loud.step(torch.full((len(PROMPTS),), 9))
    assert model.training and not loud.logits().requires_grad


@pytest.mark.parametrize("window", [1, 3, 8])
def test_windows_of_ragged_prompts(window: int) -> None:
    model = neural("standard", window=window)
    writing = stepper(model).begin(PROMPTS)
    for n in range(6):
        for row, prompt in enumerate(PROMPTS):
            expected = logits_at_once(model, prompt, [5] * n)
            torch.testing.assert_close(writing.logits()[row], expected, **CLOSE)
        writing.step(torch.full((len(PROMPTS),), 5))


@pytest.mark.parametrize("name", ["proxy", "standard", "gpt2"])
def test_value_embeddings_and_low_precision_are_written_with(name: str) -> None:
    model = neural(name, value_embeddings=True)
    writing = stepper(model).begin(PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        torch.testing.assert_close(writing.logits()[row], logits_at_once(model, prompt, []), **CLOSE)
    half = stepper(model.bfloat16()).begin(PROMPTS)
    half.step(torch.full((len(PROMPTS),), 5))
    assert half.logits().dtype == torch.float32 and bool(half.logits().isfinite().all())


def test_padding_before_packed_and_unpacked_rows_agree() -> None:
    """`hidden` with `lead_B` against packed rows, where the padding is a document, and against each row alone."""
    model, lengths = neural("gpt2"), [3, 8, 1]
    ids = torch.randint(1, V, (3, 8), generator=torch.Generator().manual_seed(0))
    lead = torch.tensor([8 - n for n in lengths])
    segments = (torch.arange(8) >= lead[:, None]).long()
    with torch.no_grad():
        packed = model.hidden(ids, segments)
        memories = model.memories()
        parts = [model.hidden(part, None, memories, lead) for part in ids.split([4, 1, 3], dim=1)]
        for row, n in enumerate(lengths):
            own = torch.cat(parts, dim=1)[row, 8 - n :]
            torch.testing.assert_close(own, packed[row, 8 - n :], **CLOSE)
            torch.testing.assert_close(own, model.hidden(ids[row : row + 1, 8 - n :])[0], **CLOSE)


def test_a_view_behind_a_cache_hides_padding_and_nothing_else() -> None:
    lead = torch.tensor([0, 2, 5])
    for past, T, window in ((0, 6, None), (5, 1, None), (3, 3, None), (3, 3, 2), (5, 1, 2)):
        mask = attention.after(past, T, window, lead_B=lead).mask
        assert mask is not None
        for b, t, s in [(b, t, s) for b in range(3) for t in range(T) for s in range(past + T)]:
            own, is_text = past + t, past + t >= lead[b]
            expected = s <= own and (s >= lead[b]) == is_text and (window is None or s > own - window)
            assert bool(mask[b, 0, t, s]) == bool(expected), (past, T, window, b, t, s)


def test_a_memory_grows_by_doubling_and_keeps_what_it_holds() -> None:
    memory, parts, buffers = Memory(), [], set()
    for n in (5, *[1] * 60):
        k = torch.randn(2, 3, n, 4)
        parts.append(k)
        kept, values = memory.extend(k, -k)
        assert torch.equal(kept, torch.cat(parts, dim=2)) and torch.equal(values, -kept)
        buffers.add(kept.data_ptr())
    assert memory.length == 65 and memory.rows == 2
    assert len(buffers) <= 5  # sizes 5, 10, 20, 40, 80
    taken = memory.take(torch.tensor([1, 1, 0]))
    taken.extend(torch.ones(3, 3, 1, 4), torch.ones(3, 3, 1, 4))
    assert torch.equal(taken.all()[0][:, :, :-1], memory.all()[0][[1, 1, 0]])


def test_a_memory_that_is_taken_over_and_over_is_what_one_of_plain_rows_would_be() -> None:
    """Buffers are used again by turns, also by fewer rows, and after they have grown."""
    draws = torch.Generator().manual_seed(0)
    memory, plain = Memory(), torch.randn(6, 2, 3, 4, generator=draws)
    memory.extend(plain, -plain)
    for step in range(40):
        rows = torch.randint(0, len(plain), (max(2, 6 - step // 8),), generator=draws)
        memory, plain = memory.take(rows, last=True), plain[rows]
        new = torch.randn(len(rows), 2, 1, 4, generator=draws)
        memory.extend(new, -new)
        plain = torch.cat([plain, new], dim=2)
        assert torch.equal(memory.all()[0], plain) and torch.equal(memory.all()[1], -plain)


def test_a_memory_that_is_trained_through_keeps_its_gradients() -> None:
    memory, k = Memory(), torch.randn(1, 1, 4, 2, requires_grad=True)
    for part in k.split(1, dim=2):
        kept, _ = memory.extend(part, part)
        loss = kept.square().sum()
    loss.backward()
    assert torch.equal(k.grad, 2 * k)


def test_sources_keep_one_copy_of_their_keys_while_each_has_as_many_rows() -> None:
    writing: Any = stepper(neural("bart")).begin(PROMPTS).take(torch.arange(5).repeat_interleave(3))
    rows = [memory.rows for pair in writing.memories for memory in pair]
    assert rows == [15, 5, 15, 5]
    same = writing.take(torch.arange(15).view(5, 3).flip(1).flatten())
    assert same.memories[0][1] is writing.memories[0][1]
    fewer = same.take(torch.tensor([3, 4, 5, 9, 9, 10]))
    assert fewer.memories[0][1].rows == 2
    uneven = fewer.take(torch.tensor([0, 3, 4]))
    assert uneven.memories[0][1].rows == 3


@pytest.mark.parametrize(
    ("name", "prompt", "said"),
    [
        ("gpt2", [], "prompts: an empty prompt -> begin it with"),
        ("bart", [], "an empty prompt"),
        ("n-gram", [], "an empty prompt"),
        ("gpt2", [1] * 49, "49 tokens, and the model has 48 positions"),
        ("bart", [1] * 49, "49 tokens, and the model has 48 positions"),
        ("lstm", [1, V], f"token id {V}, and the model's are 0 to {V - 1}"),
        ("n-gram", [-1], "token id -1"),
    ],
)
def test_prompts_that_no_row_can_begin_with_are_told(name: str, prompt: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        checked(stepper(writer(name)), prompt, "prompts")
    assert "\n" not in caught.value.line() and caught.value.remedy


def test_models_that_read_both_ways_cannot_write() -> None:
    from assay.models.build import build

    for model in (neural("bert"), build(preset("lstm", Size(V, 1, 8, 1, 8), both_ways=True), None)):
        with pytest.raises(InputError, match="sees what follows, and cannot write"):
            stepper(model)
    with pytest.raises(InputError, match="is a Linear"):
        stepper(torch.nn.Linear(2, 2))
