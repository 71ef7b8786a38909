"""A whole model directory, as Hugging Face lays it out, for models and tokenizers that were trained here.

    config.json, model.safetensors                  `interop.save`
    tokenizer.json, tokenizer_config.json           transformers' PreTrainedTokenizerFast opens them; or Marian's own
    generation_config.json                          where the model generates
    README.md                                       the model card

All is checked before anything is written. Each file takes its name once it is whole; config.json, without which a
directory is no model, is taken away first and written last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from assay.errors import InputError
from assay.models.encoder import EncoderConfig
from assay.models.heads import HeadedConfig
from assay.models.interop import written
from assay.models.interop.files import (
    CONFIG,
    WEIGHTS,
    make_folder,
    write_bytes,
    write_json,
    write_tensors,
    write_text,
)
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig

TOKENIZER, TOKENIZER_CONFIG, GENERATION, CARD = (
    "tokenizer.json", "tokenizer_config.json", "generation_config.json", "README.md",
)  # fmt: skip
VOCABULARY = "vocab.json"
MARIAN = {"source.spm", "target.spm", VOCABULARY}
UNBOUNDED = 10**30  # transformers' number for a length without bound


@dataclass(frozen=True)
class Special:
    """Tokens of the tokenizer that mean something, as they are spelled there; None: there is no such one."""

    bos: str | None = None
    eos: str | None = None
    pad: str | None = None
    unk: str | None = None
    mask: str | None = None
    sep: str | None = None
    cls: str | None = None

    def named(self) -> dict[str, str]:
        """By role, those that there are."""
        return {role: token for role, token in asdict(self).items() if token is not None}


def write_directory(
    folder: Path,
    model: nn.Module,
    tokenizer: str | Mapping[str, bytes] | None,
    *,
    card: str,
    special: Special = Special(),
    generation: Mapping[str, Any] | None = None,
    native: bool | None = None,
) -> None:
    """Write all files of a model directory.

    Args:
        tokenizer: content of `tokenizer.json`, as `tokenizers` writes it; or the files of Marian's own, by name, which
            are written as they are (`tokens.marian` reads them); None: a directory without one.
        card: the model card, in Markdown.
        special: tokens of the tokenizer.
        generation: what generation_config.json says besides the ids of special tokens: `max_new_tokens` and the like.
        native: as in `interop.save`.

    Raises:
        InputError: the tokenizer has ids that the model has no rows for, lacks a special token, or fills rows with
            another id than the model was made for; or `interop.save` refuses the model.
    """
    stated, tensors = written(model, native=native)
    config: Any = model.config
    ids = _special_ids(tokenizer, special, config.vocabulary)
    stated = _with_ids(stated, ids)
    files: dict[str, Any] = {}
    if isinstance(tokenizer, Mapping):
        files |= tokenizer
    elif tokenizer is not None:
        files[TOKENIZER] = tokenizer
        files[TOKENIZER_CONFIG] = _tokenizer_config(config, special)
    both_ways = isinstance(config, RecurrentConfig) and config.both_ways
    if not isinstance(config, EncoderConfig | HeadedConfig) and not both_ways:
        start = {"decoder_start_token_id": config.start} if isinstance(config, Seq2SeqConfig) else {}
        files[GENERATION] = {**ids, **start, **(generation or {})}
    files[CARD] = card if card.endswith("\n") else f"{card}\n"

    make_folder(folder)
    for name in {CONFIG, TOKENIZER, TOKENIZER_CONFIG, GENERATION, *MARIAN} - files.keys():  # an earlier model's
        (folder / name).unlink(missing_ok=True)
    write_tensors(folder / WEIGHTS, tensors)
    write: dict[type, Callable[[Path, Any], None]] = {bytes: write_bytes, str: write_text, dict: write_json}
    for name, content in files.items():
        write[type(content)](folder / name, content)
    write_json(folder / CONFIG, stated)


def _special_ids(tokenizer: str | Mapping[str, bytes] | None, special: Special, rows: int) -> dict[str, int]:
    """`bos_token_id` and the like, of what text is generated with."""
    if tokenizer is None:
        if named := special.named():
            raise InputError(f"{next(iter(named.values()))!r} is a token of no tokenizer", remedy="give the tokenizer")
        return {}
    where = TOKENIZER if isinstance(tokenizer, str) else VOCABULARY
    ids = vocabulary_of(tokenizer) if isinstance(tokenizer, str) else _pieces_of(tokenizer)
    needed = max(ids.values(), default=-1) + 1
    if needed > rows:
        raise InputError(
            f"the tokenizer has {needed} ids, and the model's embedding has {rows} rows",
            where=where, remedy="give the tokenizer that the model was trained with",
        )  # fmt: skip
    for role, token in special.named().items():
        if token not in ids:
            raise InputError(f"has no token {token!r} ({role})", where=where, remedy="name one that it has")
    wanted = ("bos", "eos", "pad")
    return {f"{role}_token_id": ids[token] for role, token in special.named().items() if role in wanted}


def vocabulary_of(tokenizer_json: str) -> dict[str, int]:
    """Token -> id, of any model of `tokenizers`, with added tokens.

    Raises:
        InputError: it is no tokenizer.json.
    """
    try:
        stated = json.loads(tokenizer_json)
        vocabulary = stated["model"]["vocab"]
        if isinstance(vocabulary, list):  # Unigram: pairs of token and score, in the order of ids
            vocabulary = {pair[0]: i for i, pair in enumerate(vocabulary)}
        return {**vocabulary, **{added["content"]: added["id"] for added in stated.get("added_tokens") or ()}}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"is no tokenizer ({type(error).__name__}: {error})", where=TOKENIZER, remedy="give what tokenizers wrote"
        ) from error


def _pieces_of(files: Mapping[str, bytes]) -> dict[str, int]:
    """Piece -> id, of Marian's own tokenizer."""
    if missing := sorted(MARIAN - files.keys()):
        raise InputError(f"{missing[0]} is not among the tokenizer's files", remedy="give MarianTokenizer.files")
    found: dict[str, int] = json.loads(files[VOCABULARY])
    return found


def _with_ids(stated: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    """config.json with the ids of special tokens. Positions and targets of some models are made for one padding."""
    pad, made_for = ids.get("pad_token_id"), stated.get("pad_token_id")
    shape = stated.get("shape", {})
    made_for = shape.get("padding") if made_for is None else made_for
    if pad is not None and made_for is not None and pad != made_for and stated["model_type"] != "bert":
        raise InputError(
            f"fills rows with id {pad}, and the model was made for {made_for}",
            where=TOKENIZER, remedy="give the tokenizer that the model was trained with",
        )  # fmt: skip
    return {**stated, **ids}


def _tokenizer_config(config: Any, special: Special) -> dict[str, Any]:
    config = config.body if isinstance(config, HeadedConfig) else config
    bounded = getattr(config, "positions", None) not in (None, "relative")
    kinds = ["token_type_ids"] if isinstance(config, EncoderConfig) and config.tells_types else []
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.max_length if bounded else UNBOUNDED,
        "model_input_names": ["input_ids", *kinds, "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **{f"{role}_token": token for role, token in special.named().items()},
    }
