"""Tasks of writing: rows of decoders and encoder-decoders, what is asked for in them, conversations, packing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import InputError
from assay.generation import conversation as chat
from assay.generation.conversation import CHATML, PLAIN
from assay.models.build import build
from assay.models.decoder import standard
from assay.models.protocol import Batch
from assay.models.seq2seq import transformer
from assay.tasks.coding import Coder
from assay.tasks.feed import collated, packed
from assay.tasks.protocol import Example, Item, made, saved
from assay.tasks.writing import WritingTask, chinese, losses
from labelled import encoder

CONVERSATION = [
    {"role": "system", "content": "be brief"}, {"role": "user", "content": "the film"},
    {"role": "assistant", "content": "great"}, {"role": "user", "content": "the story"},
    {"role": "assistant", "content": "dull"},
]  # fmt: skip


def _task(name: str, **options: Any) -> WritingTask:
    task = made(name, options)
    assert isinstance(task, WritingTask)
    return task


def _coder(most: int = 40, start: int | None = None) -> Coder:
    return Coder.of(encoder("bpe"), most, start=start)


def _asked(item: Item, coder: Coder) -> list[str]:
    """The stretches that a row asks for, without ends."""
    found, now = [], []
    for target in item.targets.tolist():
        if target < 0 or target == coder.end:
            found += [coder.encoder.decode(np.array(now))] if now else []
            now = []
        else:
            now.append(target)
    return found + ([coder.encoder.decode(np.array(now))] if now else [])


def test_a_decoder_is_asked_for_the_answer_and_its_end_alone() -> None:
    task, coder = _task("translation"), _coder()
    example = task.read({"source": "the film", "target": "great 精彩"}, "row")
    (item,) = task.items([example], coder)
    assert _asked(item, coder) == ["great 精彩"]
    assert item.targets[-1] == coder.end
    assert item.ids[0] == coder.begin
    assert item.targets[item.targets >= 0].tolist()[:-1] == coder.ids(["great 精彩"])[0].tolist()
    (prompt,) = task.prompts([example], coder)
    first = int(np.flatnonzero(item.targets >= 0)[0])
    assert item.ids[: first + 1].tolist() == prompt.tolist()  # asked and trained alike


def test_an_encoder_decoder_reads_the_source_and_writes_the_target() -> None:
    task, coder = _task("translation"), _coder(start=1)
    example = task.read({"source": "the film", "target": "great"}, "row")
    (item,) = task.items([example], coder)
    assert item.source is not None
    assert item.source.tolist() == [*coder.ids(["the film"])[0], coder.end]
    assert item.ids[0] == 1
    assert item.targets.tolist() == [*coder.ids(["great"])[0], coder.end]
    assert item.ids[1:].tolist() == item.targets[:-1].tolist()
    assert task.prompts([example], coder)[0].tolist() == item.source.tolist()


def test_all_answers_of_a_conversation_are_asked_for() -> None:
    task, coder = _task("instruction", new=8), _coder(120)
    example = task.read({"messages": CONVERSATION}, "row")
    assert example.wanted == "dull"
    (item,) = task.items([example], coder)
    assert _asked(item, coder) == ["great", "dull"]
    whole = coder.encoder.decode(item.ids[item.ids != coder.end])
    assert whole == "be brief\n\nUser: the film\nAssistant: great\nUser: the story\nAssistant: dull"
    (prompt,) = task.prompts([example], coder)
    assert item.ids[: len(prompt)].tolist() == prompt.tolist()


def test_rows_that_are_too_long_lose_their_beginning_and_keep_their_answer() -> None:
    task, coder = _task("translation", new=8), _coder(12)
    example = task.read({"source": "the film was a story and so very " * 4, "target": "great"}, "row")
    (item,) = task.items([example], coder)
    assert len(item.ids) == len(item.targets) == 12
    assert _asked(item, coder) == ["great"]
    assert item.targets[-1] == coder.end
    assert len(task.prompts([example], coder)[0]) + 6 <= 12  # half of a row at most is left for the answer
    long = task.read({"source": "a", "target": "the film was a story and so very " * 4}, "row")
    (item,) = task.items([long], coder)
    assert len(item.ids) == 12
    assert (item.targets >= 0).sum() >= 11


def test_packed_rows_are_as_their_examples_alone() -> None:
    task, coder = _task("instruction"), _coder(100)
    texts = ["the film", "a story", "very great", "Ann lives in Oslo", "王明在北京", "so dull"] * 3
    said = {"role": "assistant", "content": "great"}
    examples = [task.read({"messages": [{"role": "user", "content": text}, said]}, "r") for text in texts]
    items = list(task.items(examples, coder))
    rows = packed(items, 100, 0)
    assert len(rows) < len(items) / 2
    assert all(len(row.ids) <= 100 for row in rows)
    assert sum(len(row.ids) for row in rows) == sum(len(item.ids) for item in items)
    model = build(standard(coder.encoder.vocabulary, 2, 32, 2), torch.Generator().manual_seed(0)).eval()
    alone, n = losses(model, items)
    together, m = losses(model, rows)
    assert n.sum() == m.sum()
    assert together.sum() == pytest.approx(alone.sum(), rel=1e-5)


def test_losses_do_not_depend_on_the_size_of_batches_and_answers_neither() -> None:
    for start, config in ((None, standard(420, 1, 32, 2)), (1, transformer(420, 1, 32, 2, start=1, padding=1))):
        task, coder = _task("translation", new=6), _coder(start=start)
        model = build(config, torch.Generator().manual_seed(3)).eval()
        rows = [{"source": f"the film {'and so ' * (i % 4)}", "target": "great " * (1 + i % 3)} for i in range(9)]
        examples = [task.read(row, "r") for row in rows]
        items = list(task.items(examples, coder))
        found = [losses(model, items, n)[0] for n in (1, 4, 64)]
        assert np.allclose(found[0], found[1], atol=1e-4)
        assert np.allclose(found[0], found[2], atol=1e-4)
        first = items[0]
        source = None if first.source is None else torch.from_numpy(first.source[None])
        alone = Batch(torch.from_numpy(first.ids[None]), torch.from_numpy(first.targets[None]), source_BS=source)
        with torch.no_grad():
            assert float(model.loss(alone).losses_BT.sum()) == pytest.approx(found[0][0], abs=1e-4)
        said = [task.answers(examples, model, coder, n) for n in (1, 4, 64)]
        assert said[0] == said[1] == said[2]
        assert all(answer["tokens"] <= 6 for answer in said[0])


def test_an_answer_without_a_wanted_one_can_be_asked_for() -> None:
    for start in (None, 1):
        task, coder = _task("summarization"), _coder(start=start)
        example = task.read({"text": "the film was great"}, "row")
        assert example.wanted is None
        (item,) = task.items([example], coder)
        assert (item.targets < 0).all()
        assert collated([item], causal=True).targets_BT.shape[0] == 1


def test_a_template_is_json_and_jinja_says_the_same() -> None:
    jinja2 = pytest.importorskip("jinja2")
    task = _task("instruction", system="be kind")
    assert made(saved(task)["task"], saved(task)["options"]) == task
    for template in (PLAIN, CHATML):
        text = "".join(part + ("<end>" if asked else "") for part, asked in chat.turns_of(CONVERSATION, template))
        shown = jinja2.Template(chat.jinja(template)).render(
            messages=CONVERSATION, add_generation_prompt=True, eos_token="<end>"
        )
        assert shown == text


def test_a_system_message_is_put_first_where_there_is_none() -> None:
    task = _task("instruction", system="be kind")
    without = task.read({"messages": CONVERSATION[1:3]}, "r")
    assert without.given["messages"][0] == {"role": "system", "content": "be kind"}
    assert task.read({"messages": CONVERSATION}, "r").given["messages"][0]["content"] == "be brief"


def test_the_language_of_a_text() -> None:
    assert chinese("这是一部电影。")
    assert chinese("用 Python 写一个函数")
    assert not chinese("this is a film")
    assert not chinese("A film called 英雄 was shown in the cinema yesterday evening")


def test_measures_of_what_is_written() -> None:
    task = _task("instruction")
    examples = [Example({"messages": [{"role": "user", "content": "电影怎么样"}]}, "很好", "r")] * 4
    answers = [{"text": "很好", "stopped": True, "tokens": 2}, {"text": "good", "stopped": False, "tokens": 3}] * 2
    values = task.measure(examples, answers).values(np.ones((1, 4)))
    assert values["same_language"][0] == 0.5
    assert values["stopped"][0] == 0.5
    assert values["rougeL"][0] == 0.5


@pytest.mark.parametrize(
    ("name", "row", "what"),
    [("translation", {"source": "a", "target": ""}, "target is empty"), ("translation", {"target": "a"}, "no field"),
     ("instruction", {"messages": [{"role": "judge", "content": "x"}]}, "judge"), ("completion", {}, "no field")],
)  # fmt: skip
def test_bad_rows_are_told(name: str, row: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        _task(name).read(row, "file:1")
