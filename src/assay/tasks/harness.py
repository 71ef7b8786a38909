"""lm-evaluation-harness on our models (extra `harness`): its tasks, its prompts, our likelihoods.

    import lm_eval
    from assay.tasks.harness import Harnessed

    lm_eval.simple_evaluate(model=Harnessed("gpt/model"), tasks=["piqa"])

It is known there as `assay`, too, once this module is imported: model="assay", model_args="pretrained=gpt/model". A
prompt begins with the id that begins a document in training, and what is too long is cut as `tasks.language` says; both
as in `assay eval`, so that a task which both have gets one score.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.errors import InputError, needs
from assay.tasks.language import ROWS, Encoded, LanguageModel, Written
from assay.tasks.prompting import Prompt
from assay.train.world import device_of

needs("lm_eval", "harness", "tasks of lm-evaluation-harness")

from lm_eval.api.model import LM  # noqa: E402
from lm_eval.api.registry import register_model  # noqa: E402

USUAL_TOKENS = 256  # of an answer, as there


@register_model("assay")
class Harnessed(LM):
    """A language model as lm-evaluation-harness asks it.

    Args:
        pretrained: a model directory, or the folder of a training.
        batch_size: rows at a time; the scores do not depend on it.
        device: auto, cpu or cuda.
        max_length: tokens that the model sees at once; None: as many as it has positions.

    Raises:
        InputError: there is no such model, or it is of a family that does not write.
    """

    def __init__(
        self,
        pretrained: str | Path,
        batch_size: int | str = ROWS,
        device: str | None = "auto",
        max_length: int | None = None,
        **_: Any,
    ) -> None:
        super().__init__()
        found = device_of(device or "auto", "device")
        self.model = LanguageModel.load(Path(pretrained), found, max_length)
        self.rows = int(batch_size) if str(batch_size).isdecimal() else ROWS
        self._device = found

    @property
    def tokenizer_name(self) -> str:
        return "assay"

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-probability in nats, whether greedy decoding would write it) of (prompt, continuation) pairs."""
        pairs = [tuple(request.args) for request in requests]
        encoded = self.model.encoded([Prompt("", (), prompt) for prompt, _ in pairs], [[own] for _, own in pairs])
        return self._told("loglikelihood", requests, encoded)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-probability in nats of whole texts, in windows that overlap by half."""
        texts = [str(request.args[0]) for request in requests]
        full = [i for i, text in enumerate(texts) if text]
        encoded = self.model.encoded([Prompt("", (), "")] * len(full), [[texts[i]] for i in full])
        found = dict(zip(full, (own[0].total for own in self.model.scored(encoded, self.rows)), strict=True))
        return [found.get(i, 0.0) for i in range(len(texts))]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model goes on with, greedily, up to one of `until`, which is left out.

        Raises:
            InputError: the task wants answers that are drawn.
        """
        found: dict[int, Written] = {}
        by_settings: dict[tuple[tuple[str, ...], int], list[int]] = {}
        for i, request in enumerate(requests):
            by_settings.setdefault(_settings(request.args[1]), []).append(i)
        for (stop, most), own in by_settings.items():
            prompts = [Prompt("", (), str(requests[i].args[0])) for i in own]
            for number, answer, _shown in self.model.written(prompts, stop, most, self.rows):
                found[own[number]] = answer
        for i, request in enumerate(requests):
            self.cache_hook.add_partial("generate_until", request.args, found[i].text)
        return [found[i].text for i in range(len(requests))]

    def _told(self, kind: str, requests: Sequence[Any], encoded: list[Encoded]) -> list[tuple[float, bool]]:
        found = [(own[0].total, own[0].most_likely) for own in self.model.scored(encoded, self.rows, greedy=True)]
        for request, one in zip(requests, found, strict=True):
            self.cache_hook.add_partial(kind, request.args, one)
        return found


def _settings(asked: dict[str, Any]) -> tuple[tuple[str, ...], int]:
    """(what ends an answer, the most tokens of one)."""
    if asked.get("do_sample") and asked.get("temperature", 1.0):
        remedy = "ask for greedy decoding: do_sample: false"
        raise InputError("the task wants answers that are drawn", where="generation_kwargs", remedy=remedy)
    until = asked.get("until") or []
    stop = (until,) if isinstance(until, str) else tuple(until)
    return tuple(one for one in stop if one), int(asked.get("max_gen_toks") or USUAL_TOKENS)
