"""`assay tokenizer`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.front.printing import printed
from assay.recipe.load import parse_size


def tokenizer_train(
    *,
    sources: list[str],
    out: Path,
    learning: dict[str, Any],
    sample: str,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay tokenizer train`. `learning` are the fields of `Learning`, `reading` those of `ReadOptions`."""
    n_bytes = int(parse_size(sample, "sample"))

    from assay.corpus.reading.source import ReadOptions
    from assay.tokens import told, verbs
    from assay.tokens.learn import Learning

    request = verbs.Request(sources, ReadOptions(**reading), language, quiet=as_json)
    made = verbs.train(request, Learning(**learning), n_bytes, out)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told.told(made, language)))


def tokenizer_encode(
    *, tokenizer: Path, sources: list[str], out: Path, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay tokenizer encode`. `reading` are the fields of `ReadOptions`."""
    from assay.corpus.reading.source import ReadOptions
    from assay.tokens import told, verbs

    made = verbs.encode(verbs.Request(sources, ReadOptions(**reading), language, quiet=as_json), tokenizer, out)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told.told(made, language)))


def tokenizer_compare(
    *, tokenizers: list[Path], sources: list[str], sample: str, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay tokenizer compare`. `reading` are the fields of `ReadOptions`."""
    n_bytes = int(parse_size(sample, "sample"))

    from assay.corpus.reading.source import ReadOptions
    from assay.tokens import told, verbs

    request = verbs.Request(sources, ReadOptions(**reading), language, quiet=as_json)
    found = verbs.run_compare(request, tokenizers, n_bytes)
    printed(*([json.dumps(verbs.answer(found), ensure_ascii=False)] if as_json else told.tables(found, language)))
