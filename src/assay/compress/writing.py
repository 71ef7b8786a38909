"""A changed model in a directory of its own: its weights and config, and all else as the model that it was made of has
it."""

from __future__ import annotations

import shutil
from pathlib import Path

from assay.export.source import Source
from assay.models.build import Neural
from assay.models.interop import CONFIG, WEIGHTS, written
from assay.models.interop.directory import CARD, GENERATION, MARIAN, TOKENIZER, TOKENIZER_CONFIG
from assay.models.interop.files import make_folder, write_json, write_tensors
from assay.tasks.opened import TASK

BESIDE = (
    TOKENIZER, TOKENIZER_CONFIG, GENERATION, TASK, *sorted(MARIAN), "vocab.txt", "merges.txt",
    "special_tokens_map.json", "chat_template.jinja", "LICENSE", "LICENSE.txt",
)  # fmt: skip


def write(source: Source, model: Neural, folder: Path) -> None:
    """Write the directory; a Hugging Face family's where the model has the shape of one."""
    stated, tensors = written(model)
    ids = {name: value for name, value in source.stated.items() if name.endswith("_token_id")}
    make_folder(folder)
    for name in BESIDE:
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, folder / name)
    write_tensors(folder / WEIGHTS, tensors)
    write_json(folder / CONFIG, {**stated, **ids})


def write_card(folder: Path, text: str) -> None:
    """README.md."""
    (folder / CARD).write_text(text, encoding="utf-8")
