"""What a recipe says, as the values that the rooms take: model, optimizer, objective, schedule, phases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from assay.errors import InputError
from assay.models.build import ModelConfig
from assay.models.decoder import DecoderConfig
from assay.models.encoder import EncoderConfig
from assay.models.presets import Size, heads_of, preset, with_fields
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens.learn import MASK, PAD, Learning
from assay.tokens.tokenizer import Encoder
from assay.tokens.whole_words import WholeWords
from assay.train.feed import Phase
from assay.train.objectives import NEXT_TOKEN, Denoising, Masked, Objective, Pairs, SpanCorruption
from assay.train.optimizers import OptimizerConfig
from assay.train.schedules import Constant, Cosine, CosineRestarts, Linear, Schedule, WarmupStableDecay
from assay.train.transfer import check, transferred

ObjectiveKind = Literal["causal", "masked", "spans", "denoising", "pairs"]
END = "<|end|>"
ENCODERS, SEQ2SEQ, RECURRENT = {"bert", "modern"}, {"transformer", "marian", "bart", "t5"}, {"rnn", "gru", "lstm"}
_SHARE = {"masked": 0.15, "spans": 0.15, "denoising": 0.3}  # Devlin et al. 2019, Raffel et al. 2020, Lewis et al. 2020


@dataclass(frozen=True)
class _Rates:
    """The optimizer of the matrices and peak learning rates that suit a family at small sizes (LAB_NOTES)."""

    matrix: Literal["muon", "adamw"]
    matrix_lr: float
    embedding_lr: float
    head_lr: float
    vector_lr: float


_RATES = {
    "proxy": _Rates("muon", 0.01, 0.1, 0.02, 0.004),
    "decoder": _Rates("muon", 0.02, 0.004, 0.004, 0.004),
    "encoder": _Rates("adamw", 2e-3, 2e-3, 2e-3, 2e-3),
    "seq2seq": _Rates("adamw", 2e-3, 2e-3, 2e-3, 2e-3),
    "recurrent": _Rates("adamw", 6e-3, 6e-3, 6e-3, 6e-3),
}


def family_of(name: str) -> str:
    """The key of the learning rates that a preset goes by."""
    if name in ENCODERS:
        return "encoder"
    if name in SEQ2SEQ:
        return "seq2seq"
    return "recurrent" if name in RECURRENT else "proxy" if name == "proxy" else "decoder"


def objective_kind(recipe: PretrainRecipe) -> ObjectiveKind:
    """What the model is asked.

    Raises:
        InputError: a model of this kind cannot be asked that, or not with rows like these.
    """
    kind, name, pair = recipe.objective.kind, recipe.model.preset, recipe.data.pair
    suited: tuple[ObjectiveKind, ...] = (
        ("masked",) if name in ENCODERS else ("spans", "denoising") if name in SEQ2SEQ else ("causal",)
    )
    if pair is not None:
        if name not in SEQ2SEQ:
            raise InputError(
                f"{name} reads one text, and this names the two sides of pairs", where="data.pair",
                remedy="leave it out, or give an encoder-decoder as model.preset: transformer, marian, bart or t5",
            )  # fmt: skip
        if recipe.train.shorter:
            raise InputError("pairs cannot be cut", where="train.shorter", remedy="leave it out, or give train.fewer")
        suited = ("pairs",)
    elif kind == "pairs" and name in SEQ2SEQ:
        raise InputError("pairs have two sides", where="objective.kind", remedy="name them: data.pair=[source, target]")
    if kind == "auto" and pair is None:
        return "denoising" if name in SEQ2SEQ and name != "t5" else suited[0]
    if kind == "auto":
        return suited[0]
    if kind not in suited:
        raise InputError(
            f"{name} cannot be trained with the objective {kind}", where="objective.kind",
            remedy=f"give {' or '.join(suited)}, or another model.preset",
        )  # fmt: skip
    return kind


def sentinels(row_tokens: int, share: float, mean: float) -> int:
    """As many spans as a row can have."""
    return max(1, round(row_tokens * share / mean)) + 1


def _share(recipe: PretrainRecipe, kind: ObjectiveKind) -> float:
    return _SHARE[kind] if recipe.objective.share is None else recipe.objective.share


def special_tokens(recipe: PretrainRecipe) -> tuple[str, ...]:
    """Names of the special tokens that the objective needs, besides the one before every document."""
    kind, o = objective_kind(recipe), recipe.objective
    if kind == "masked":
        return (PAD, MASK)
    if kind == "pairs":
        return (PAD, END)
    if kind == "denoising":
        return (PAD, END, MASK)
    if kind == "spans":
        n = sentinels(recipe.train.row_tokens, _share(recipe, kind), o.mean_span)
        return (PAD, END, *(f"<|extra_{i}|>" for i in range(n)))
    return ()


def learning(recipe: PretrainRecipe) -> Learning:
    """How the tokenizer is learned."""
    t = recipe.tokenizer
    min_count = t.min_count if t.kind in ("word", "character") else 1
    return Learning(t.kind, t.vocabulary, special_tokens(recipe), min_count)


def objective(recipe: PretrainRecipe, encoder: Encoder) -> Objective:
    """What the model is asked, with the tokenizer's ids.

    Raises:
        InputError: the tokenizer has no token for it.
    """
    kind, o = objective_kind(recipe), recipe.objective
    if kind == "causal":
        return NEXT_TOKEN
    if kind == "pairs":
        return Pairs(encoder.special_id(END), encoder.special_id(PAD))
    share = _share(recipe, kind)
    mask = "[MASK]" if "[MASK]" in encoder.special else MASK
    if kind == "masked":
        words = WholeWords(encoder) if o.whole_words else None
        return Masked(encoder.special_id(mask), encoder.vocabulary, share, words)
    start, end = encoder.special_id(PAD), encoder.special_id(END)
    if kind == "denoising":
        return Denoising(encoder.special_id(mask), end, start, share, o.mean_span)
    names = [name for name in special_tokens(recipe) if name.startswith("<|extra_")]
    return SpanCorruption(tuple(encoder.special_id(name) for name in names), end, start, share, o.mean_span)


def with_end(tokenizer_json: str) -> str:
    """A tokenizer that ends every text, so that whoever opens it for a model of pairs reads sources as they were read
    in training; in assay the stream has the ends, and this changes nothing."""
    content = json.loads(tokenizer_json)
    ends = {"SpecialToken": {"id": END, "type_id": 0}}
    first, second = ({"Sequence": {"id": side, "type_id": 0}} for side in "AB")
    content["post_processor"] = {
        "type": "TemplateProcessing", "single": [first, ends], "pair": [first, ends, second, ends],
        "special_tokens": {END: {"id": END, "ids": [Encoder(tokenizer_json).special_id(END)], "tokens": [END]}},
    }  # fmt: skip
    return json.dumps(content, ensure_ascii=False)


def _more(recipe: PretrainRecipe) -> dict[str, Any]:
    """Fields of the config, or of its block, that the recipe names."""
    m = recipe.model
    if m.dropout is None:
        return dict(m.more)
    everywhere = {"attention_dropout": m.dropout} if m.preset == "t5" else {}  # T5 has one rate for all
    return {**everywhere, **m.more, "dropout": m.dropout}


def model_config(recipe: PretrainRecipe, encoder: Encoder) -> ModelConfig:
    """The model's shape.

    Raises:
        InputError: fields that it does not have, or that do not go together.
    """
    m, T = recipe.model, recipe.train.row_tokens
    heads = m.heads or heads_of(m.width)
    more = _more(recipe)
    if m.preset in SEQ2SEQ:
        more = {"start": encoder.special_id(PAD), "padding": encoder.special_id(PAD), **more}
    # A denoised text is no longer than its row and its end; positions for both.
    length = max(T + 8, 64) if m.preset in SEQ2SEQ else T
    try:
        config = preset(m.preset, Size(encoder.vocabulary, m.layers, m.width, heads, length), **more)
    except (ValueError, TypeError) as error:
        raise InputError(str(error), where="model.more", remedy="give fields of this preset") from error
    block = getattr(config, "block", None)
    if block is not None and m.width % heads:
        raise InputError(
            f"{heads} heads do not divide a width of {m.width}", where="model.heads", remedy="leave it out"
        )
    if block is not None and block.rotary and block.key_width % 2:
        raise InputError(
            f"heads of {block.key_width} numbers cannot be turned in pairs", where="model.heads",
            remedy="leave it out, or give heads of an even width",
        )  # fmt: skip
    if block is not None and block.heads % block.groups:
        raise InputError(
            f"{block.groups} heads of keys and values do not divide {block.heads}", where="model.more",
            remedy="give a divisor as kv_heads",
        )  # fmt: skip
    if max_length(config) < T:
        raise InputError(
            f"rows of {T} tokens, and the model has {max_length(config)} positions", where="train.row_tokens",
            remedy="give shorter rows, or a larger max_length in model.more",
        )  # fmt: skip
    return config


def kind_of(config: ModelConfig) -> str:
    """The kind of a model, as `family_of` names it of presets."""
    kinds = {EncoderConfig: "encoder", Seq2SeqConfig: "seq2seq", RecurrentConfig: "recurrent"}
    return kinds.get(type(config), "decoder")


def with_more(recipe: PretrainRecipe, config: ModelConfig) -> ModelConfig:
    """The config of weights to go on from, with what the recipe says of dropout and other fields.

    Raises:
        InputError: it has no such field.
    """
    try:
        changed: ModelConfig = with_fields(config, _more(recipe))
    except (ValueError, TypeError) as error:
        raise InputError(str(error), where="model.more", remedy="give fields of this model") from error
    return changed


def max_length(config: ModelConfig) -> float:
    """Positions that a model has; infinite for those without a table of them."""
    relative = isinstance(config, Seq2SeqConfig) and config.positions == "relative"
    return float("inf") if relative else getattr(config, "max_length", float("inf"))


def optimizer_config(recipe: PretrainRecipe, config: ModelConfig) -> OptimizerConfig:
    """The optimizer: what the recipe says, else what suits the preset, transferred to the model's width.

    Raises:
        InputError: rates do not carry over to such a model.
    """
    o, rates = recipe.optimizer, _RATES[family_of(recipe.model.preset)]
    matrix = o.matrix or rates.matrix
    # Rates of Muon are of another kind than those of Adam and its kin: about three times as high.
    matrix_lr = rates.matrix_lr if matrix == rates.matrix else rates.matrix_lr / 3 if rates.matrix == "muon" else 0.02
    made = OptimizerConfig(
        matrix=matrix,
        rest=o.rest,
        matrix_lr=o.matrix_lr or matrix_lr,
        embedding_lr=o.embedding_lr or rates.embedding_lr,
        head_lr=o.head_lr or rates.head_lr,
        vector_lr=o.vector_lr or rates.vector_lr,
        momentum=o.momentum,
        betas=o.betas,
        weight_decay=o.weight_decay,
        l1=o.l1,
        clip_value=o.clip_value,
        clip_norm=o.clip_norm,
    )
    base = recipe.train.base_width
    if base is None:
        return made
    try:
        if not isinstance(config, DecoderConfig):
            raise InputError("rates carry over widths of decoders alone", remedy="give the rates for this width")
        check(config)
        return transferred(made, config.width, base)
    except InputError as error:
        raise InputError(error.what, where="train.base_width", remedy=error.remedy) from error


def schedule(recipe: PretrainRecipe, steps: int) -> Schedule:
    """The learning rate over `steps` steps."""
    s = recipe.schedule
    warmup = max(1, round(s.warmup * steps)) if s.warmup else 0
    match s.kind:
        case "constant":
            return Constant(warmup)
        case "linear":
            return Linear(warmup, steps, s.final)
        case "cosine":
            return Cosine(warmup, steps, s.final)
        case "restarts":
            return CosineRestarts(warmup, max(1, -(-(steps - warmup) // s.cycles)), 1.0, s.final)
        case "wsd":
            return WarmupStableDecay(warmup, steps, max(1, min(steps - 1, round(s.decay * steps))))


def phases(recipe: PretrainRecipe, slots: int) -> tuple[tuple[Phase, ...], int]:
    """How rows and batches grow over a run that reads `slots` rows, and its steps.

    Raises:
        InputError: a cut that does not divide the rows, or more parts than a batch has rows.
    """
    r = recipe.train
    for key, pairs, whole in (("shorter", r.shorter, r.row_tokens), ("fewer", r.fewer, r.batch_rows)):
        for _, by in pairs:
            if by < 1 or whole % by:
                raise InputError(f"{by} does not divide {whole}", where=f"train.{key}", remedy="give a divisor")
    ends = sorted({share for share, _ in (*r.shorter, *r.fewer) if share < 1} | {1.0})
    made, begin, steps = [], 0.0, 0
    for end in ends:
        cut, fewer = (_at(pairs, begin) for pairs in (r.shorter, r.fewer))
        rows = r.batch_rows // fewer
        n = max(1, round((end - begin) * slots / rows))
        made.append(Phase(n, rows, cut))
        begin, steps = end, steps + n
    return tuple(made), steps


def _at(pairs: tuple[tuple[float, int], ...], share: float) -> int:
    """The divisor that holds at a share of the run; 1 after the last."""
    return next((by for until, by in sorted(pairs) if share < until), 1)
