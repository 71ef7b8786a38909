"""CTranslate2's generator and translator: it searches by itself, and speaks of tokens by name.

engine.written(prompts, ...)       greedy, sampled or by beams
engine.logits(rows), scores(...)   what parity and perplexity are found from
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ctranslate2
import numpy as np


class Written(NamedTuple):
    """A continuation without its end.

    Attributes:
        ended: the end was written.
        score: its log-probability, of beams over their length.
    """

    ids: list[int]
    ended: bool
    score: float


class Engine:
    """A directory.

    Args:
        threads: of each product; 0: as many as CTranslate2 chooses.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], threads: int = 0) -> None:
        self.facts = facts
        self.translates = facts["kind"] == "translator"
        stored = next(folder / f"{name}.json" for name in ("shared_vocabulary", "vocabulary")
                      if (folder / f"{name}.json").is_file())  # fmt: skip
        self.names: list[str] = json.loads(stored.read_text(encoding="utf-8"))
        self.number = {name: i for i, name in enumerate(self.names)}
        kind = ctranslate2.Translator if self.translates else ctranslate2.Generator
        self.model = kind(str(folder), device="cpu", compute_type=facts["compute"], intra_threads=threads)

    def named(self, ids: Sequence[int]) -> list[str]:
        return [self.names[i] for i in ids]

    def written(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        new: int = 128,
        beams: int = 1,
        penalty: float = 1.0,
        no_repeat: int = 0,
        top_k: int = 1,
        top_p: float = 1.0,
        temperature: float = 1.0,
        least: int = 0,
        rows: int = 32,
    ) -> list[Written]:
        """What goes on from each prompt; of an encoder-decoder a prompt is the source.

        Args:
            new: tokens that are written at most.
            top_k: of so many tokens one is drawn; 1: the likeliest, 0: all.
        """
        asked = [self.named(prompt) for prompt in prompts]
        how: dict[str, Any] = {
            "beam_size": beams, "length_penalty": penalty, "no_repeat_ngram_size": no_repeat, "sampling_topk": top_k,
            "sampling_topp": top_p, "sampling_temperature": temperature, "max_batch_size": rows, "return_scores": True,
        }  # fmt: skip
        if self.translates:
            found = self.model.translate_batch(
                asked, max_decoding_length=new, min_decoding_length=least, max_input_length=0, return_end_token=True,
                **how,
            )  # fmt: skip
            return [self._told(self._ids(one.hypotheses[0]), one.scores[0], beams) for one in found]
        found = []
        for prompt in asked:  # prompts of several lengths would be read token by token
            found += self.model.generate_batch(
                [prompt], max_length=new, min_length=least, include_prompt_in_result=False, return_end_token=True, **how
            )
        return [self._told(list(one.sequences_ids[0]), one.scores[0], beams) for one in found]

    def _ids(self, tokens: Sequence[str]) -> list[int]:
        return [self.number[token] for token in tokens]

    def _told(self, ids: list[int], score: float, beams: int) -> Written:
        ended = bool(ids) and ids[-1] == self.facts["end"]
        return Written(ids[:-1] if ended else ids, ended, float(score))

    def logits(self, rows: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """(n, V) of a decoder behind each token of each row."""
        longest = max(map(len, rows))
        ids = np.zeros((len(rows), longest), np.int32)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        lengths = np.array([len(row) for row in rows], np.int32)
        view = ctranslate2.StorageView.from_array
        found = self.model.forward_batch(view(ids), view(lengths))
        logits = np.array(found.to(ctranslate2.DataType.float32))
        return [one[: len(row)] for one, row in zip(logits, rows, strict=True)]

    def scores(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """(n + 1,) log-probability of each token of a target, and of the end behind it."""
        found = self.model.score_batch([self.named(s) for s in sources], [self.named(t) for t in targets])
        return [np.array(one.log_probs, np.float32) for one in found]
