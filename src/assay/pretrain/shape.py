"""What a recipe says, as the values that the rooms take: model, optimizer, objective, schedule, phases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from assay.errors import InputError
from assay.models.build import ModelConfig
from assay.models.decoder import DecoderConfig
from assay.models.distilled import DistilledConfig
from assay.models.encoder import EncoderConfig
from assay.models.heads import HeadedConfig
from assay.models.interop.directory import Special
from assay.models.presets import Size, heads_of, preset, with_fields
from assay.models.protocol import Penalties
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig
from assay.models.stacked import StackedConfig
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens.learn import MASK, PAD, UNKNOWN, Learning
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder
from assay.tokens.whole_words import WholeWords
from assay.train.feed import Phase
from assay.train.loop import TrainSpec
from assay.train.objectives import NEXT_TOKEN, Denoising, Masked, Objective, Pairs, SpanCorruption
from assay.train.optimizers import OptimizerConfig
from assay.train.schedules import Constant, Cosine, CosineRestarts, Linear, Schedule, WarmupStableDecay
from assay.train.transfer import check, transferred
from assay.train.tuning import Tuning

ObjectiveKind = Literal["causal", "masked", "spans", "denoising", "pairs"]
END = "<|end|>"
ENCODERS, SEQ2SEQ, RECURRENT = {"bert", "modern"}, {"transformer", "marian", "bart", "t5"}, {"rnn", "gru", "lstm"}
_SHARE = {"masked": 0.15, "spans": 0.15, "denoising": 0.3}  # Devlin et al. 2019, Raffel et al. 2020, Lewis et al. 2020


@dataclass(frozen=True)
class _Rates:
    """The optimizer of the matrices and peak learning rates that suit a preset, or a family, when small (LAB_NOTES)."""

    matrix: Literal["muon", "adamw"]
    matrix_lr: float
    embedding_lr: float
    head_lr: float
    vector_lr: float


_RATES = {
    "proxy": _Rates("muon", 0.01, 0.1, 0.02, 0.004),
    "decoder": _Rates("muon", 0.02, 0.004, 0.004, 0.004),
    "bert": _Rates("adamw", 1e-3, 1e-3, 1e-3, 1e-3),
    "modern": _Rates("muon", 0.02, 2e-3, 2e-3, 2e-3),
    "seq2seq": _Rates("adamw", 2e-3, 2e-3, 2e-3, 2e-3),
    "recurrent": _Rates("adamw", 6e-3, 6e-3, 6e-3, 6e-3),
}


def family_of(name: str) -> str:
    """The kind of model that a preset is of, and whose learning rates it goes by if it has none of its own."""
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
    both = reads_both_ways(recipe)
    if recipe.train.carry_state and (both or name not in RECURRENT):
        raise InputError(
            f"{name}{' that reads both ways' if both else ''} has no state that goes on from row to row",
            where="train.carry_state", remedy="leave it out, or give lstm, gru or rnn as model.preset",
        )  # fmt: skip
    suited: tuple[ObjectiveKind, ...] = (
        ("masked",) if name in ENCODERS or both else ("spans", "denoising") if name in SEQ2SEQ else ("causal",)
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
        told = f"{name} that reads both ways" if both else name
        raise InputError(
            f"{told} cannot be trained with the objective {kind}", where="objective.kind",
            remedy=f"give {' or '.join(suited)}, or another model.preset",
        )  # fmt: skip
    return kind


def reads_both_ways(recipe: PretrainRecipe) -> bool:
    """Whether it is a recurrent model of two directions."""
    return recipe.model.preset in RECURRENT and bool(recipe.model.more.get("both_ways"))


def sentinels(row_tokens: int, share: float, mean: float) -> int:
    """As many spans as a row can have."""
    return max(1, round(row_tokens * share / mean)) + 1


def _share(recipe: PretrainRecipe, kind: ObjectiveKind) -> float:
    return _SHARE[kind] if recipe.objective.share is None else recipe.objective.share


def special_tokens(recipe: PretrainRecipe) -> tuple[str, ...]:
    """Names of the special tokens that the objective needs, besides the one before every document and those that a
    tokenizer of the recipe's kind has anyway."""
    kind = objective_kind(recipe)
    ends = (PAD, END)
    by_kind = {"masked": (PAD, MASK), "denoising": (PAD, END, MASK), "spans": ends, "pairs": ends}
    needed: tuple[str, ...] = by_kind.get(kind, ())
    if recipe.tokenizer.kind == "wordpiece":  # it has [PAD] and [MASK]
        needed = tuple(name for name in needed if name == END)
    return needed + (_extras(recipe) if kind == "spans" else ())


def _extras(recipe: PretrainRecipe) -> tuple[str, ...]:
    """Names of the sentinels."""
    n = sentinels(recipe.train.row_tokens, _share(recipe, "spans"), recipe.objective.mean_span)
    return tuple(f"<|extra_{i}|>" for i in range(n))


_Role = Literal["pad", "mask", "unk", "sep"]
_NAMES: dict[_Role, tuple[str, ...]] = {
    "pad": (PAD, "[PAD]"),
    "mask": ("[MASK]", MASK),
    "unk": (UNKNOWN, "[UNK]"),
    "sep": ("[SEP]",),
}


def name_of(role: _Role, encoder: Encoder) -> str | None:
    """Which special token plays a role: in training, and in what is written of the tokenizer; None: none does."""
    return next((name for name in _NAMES[role] if name in encoder.special), None)


def special(recipe: PretrainRecipe, encoder: Encoder) -> Special:
    """What the special tokens are for, as the model was trained with them. An encoder with BERT's tokens has them as
    BERT does: [CLS] before a text and [SEP] behind it."""
    first = next((name for name, i in encoder.special.items() if i == END_OF_TEXT_ID), None)
    roles = {role: name_of(role, encoder) for role in _NAMES}
    if objective_kind(recipe) == "masked" and roles["sep"] is not None:
        return Special(cls=first, **roles)
    return Special(bos=first, eos=END if END in encoder.special else first, **roles | {"sep": None})


def _id_of(role: Literal["pad", "mask"], encoder: Encoder) -> int:
    """Its id.

    Raises:
        InputError: the tokenizer has none.
    """
    return encoder.special_id(name_of(role, encoder) or _NAMES[role][role == "mask"])


def learning(recipe: PretrainRecipe) -> Learning:
    """How the tokenizer is learned."""
    t = recipe.tokenizer
    min_count = t.min_count if t.kind in ("word", "character") else 1
    return Learning(t.kind, t.vocabulary, special_tokens(recipe), min_count, t.lower, t.spaces)


def objective(recipe: PretrainRecipe, encoder: Encoder) -> Objective:
    """What the model is asked, with the tokenizer's ids.

    Raises:
        InputError: the tokenizer has no token for it.
    """
    kind, o = objective_kind(recipe), recipe.objective
    if kind == "causal":
        return NEXT_TOKEN
    if kind == "pairs":
        return Pairs(encoder.special_id(END), _id_of("pad", encoder))
    share = _share(recipe, kind)
    if kind == "masked":
        words = WholeWords(encoder) if o.whole_words else None
        return Masked(_id_of("mask", encoder), encoder.vocabulary, share, words)
    start, end = _id_of("pad", encoder), encoder.special_id(END)
    if kind == "denoising":
        return Denoising(_id_of("mask", encoder), end, start, share, o.mean_span)
    extras = tuple(encoder.special_id(name) for name in _extras(recipe))
    return SpanCorruption(extras, end, start, share, o.mean_span)


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
        more = {"start": _id_of("pad", encoder), "padding": _id_of("pad", encoder), **more}
    # A denoised text is no longer than its row and its end; positions for both.
    length = max(T + 8, 64) if m.preset in SEQ2SEQ else T
    try:
        config = _with_carried(
            recipe, preset(m.preset, Size(encoder.vocabulary, m.layers, m.width, heads, length), **more)
        )
    except (ValueError, TypeError) as error:
        raise InputError(str(error), where="model.more", remedy="give fields of this preset") from error
    _check_fields(config, _more(recipe))
    if config.vocabulary < encoder.vocabulary:
        raise InputError(
            f"the tokenizer has {encoder.vocabulary} ids, and the model would have {config.vocabulary}",
            where="model.more", remedy="leave vocabulary out, or give more",
        )  # fmt: skip
    block = getattr(config, "block", None)
    if block is not None and block.head_width is None and block.width % block.heads:
        raise InputError(
            f"{block.heads} heads do not divide a width of {block.width}", where="model.heads", remedy="leave it out"
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
    if max_length(config) < positions(config, T):
        raise InputError(
            f"rows of {T} tokens take {positions(config, T)}, and the model has {max_length(config)} positions",
            where="train.row_tokens", remedy="give shorter rows, or a larger max_length in model.more",
        )  # fmt: skip
    return config


def _check_fields(config: ModelConfig, more: Mapping[str, Any]) -> None:
    """Refuse what a model that is trained here cannot be, and fields that would change nothing.

    Raises:
        InputError: names the key.
    """
    for holds, what, remedy in (*_impossible(config), *_idle(config, more)):
        if holds:
            raise InputError(what, where="model.more", remedy=remedy)


Refusals = Iterator[tuple[bool, str, str]]
"""Whether it is to be refused, why, and what to do."""


def _impossible(config: ModelConfig) -> Refusals:
    out = "leave it out"
    if isinstance(config, RecurrentConfig):
        return
    assert not isinstance(config, StackedConfig | HeadedConfig | DistilledConfig)
    if isinstance(config, EncoderConfig):
        yield not config.head, "head: without it an encoder predicts nothing", out
    if isinstance(config, Seq2SeqConfig) and config.positions == "relative":
        least = config.buckets // 2
        yield config.distance <= least, f"distance should be more than {least}, half of the buckets", "give more"
    yield config.block.cross, "cross: an encoder-decoder has cross-attention without it, no other model has", out
    turned = config.positions != "rotary" or config.block.rotary is not None
    yield not turned, "positions: rotary ones, and none of a head's numbers are turned", "add rotary: halves"


def _idle(config: ModelConfig, more: Mapping[str, Any]) -> Refusals:
    """Fields that this model does not look at."""
    kind = getattr(config, "positions", None)
    looked_at = {
        "rotary": kind == "rotary", "rotary_base": kind == "rotary", "rotary_scaling": kind == "rotary",
        "buckets": kind == "relative", "distance": kind == "relative", "first_position": kind == "learned",
        "window": isinstance(config, DecoderConfig),
    }  # fmt: skip
    for name in more:
        what = f"{name} changes nothing here" + (f", with positions: {kind}" if name != "window" else "")
        yield more[name] is not None and not looked_at.get(name, True), what, "leave it out"
        yield name in ("start", "padding"), f"{name} is the tokenizer's", "leave it out"


def kind_of(config: ModelConfig) -> str:
    """The kind of a model, as `family_of` names it of presets."""
    kinds = {
        EncoderConfig: "encoder", Seq2SeqConfig: "seq2seq", RecurrentConfig: "recurrent",
        HeadedConfig: "body with a head",
    }  # fmt: skip
    return kinds.get(type(config), "decoder")


def with_more(recipe: PretrainRecipe, config: ModelConfig) -> ModelConfig:
    """The config of weights to go on from, with what the recipe says of dropout and other fields.

    Raises:
        InputError: it has no such field.
    """
    try:
        changed = _with_carried(recipe, with_fields(config, _more(recipe)))
    except (ValueError, TypeError) as error:
        raise InputError(str(error), where="model.more", remedy="give fields of this model") from error
    _check_fields(changed, _more(recipe))
    return changed


def _with_carried(recipe: PretrainRecipe, config: ModelConfig) -> ModelConfig:
    """A recurrent model remembers whether its state was carried: then it is in evaluation, too."""
    return replace(config, carried=recipe.train.carry_state) if isinstance(config, RecurrentConfig) else config


def positions(config: ModelConfig, row_tokens: int) -> int:
    """Positions that a row of one document takes: an encoder-decoder sees its end besides."""
    return row_tokens + isinstance(config, Seq2SeqConfig)


def max_length(config: ModelConfig) -> float:
    """Positions that a model has; infinite for those without a table of them."""
    relative = isinstance(config, Seq2SeqConfig) and config.positions == "relative"
    return float("inf") if relative else getattr(config, "max_length", float("inf"))


def optimizer_config(recipe: PretrainRecipe, config: ModelConfig) -> OptimizerConfig:
    """The optimizer: what the recipe says, else what suits the preset, transferred to the model's width.

    Raises:
        InputError: rates do not carry over to such a model.
    """
    o, name = recipe.optimizer, recipe.model.preset
    rates = _RATES[name if name in _RATES else family_of(name)]
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


def train_spec(recipe: PretrainRecipe, config: ModelConfig) -> TrainSpec:
    """The arithmetic of a run, but for its type, which a measurement may decide.

    Raises:
        InputError: rates do not carry over to such a model.
    """
    r, o = recipe.train, recipe.objective
    return TrainSpec(
        config, optimizer_config(recipe, config), r.seed, penalties=Penalties(o.smoothing, o.z),
        micro_rows=r.micro_rows, checkpointing=r.checkpointing, tuning=Tuning(sparse=r.sparse),
    )  # fmt: skip


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
            return CosineRestarts(warmup, Fraction(max(1, steps - warmup), s.cycles), 1.0, s.final)
        case "wsd":
            return WarmupStableDecay(warmup, steps, max(1, min(steps - 1, round(s.decay * steps))))


def phases(recipe: PretrainRecipe, slots: int) -> tuple[Phase, ...]:
    """How rows and batches grow over a run that reads `slots` rows.

    Raises:
        InputError: a cut that does not divide the rows, or more parts than a batch has rows.
    """
    return tuple(Phase(max(1, round(share * slots / rows)), rows, cut) for share, rows, cut in _stretches(recipe))


def phases_of(recipe: PretrainRecipe, steps: int) -> tuple[Phase, ...]:
    """The same of a run of so many steps: shares are of what is read, and smaller steps read less. Phases that are
    shorter than a step are left out.

    Raises:
        InputError: as `phases`.
    """
    stretches = _stretches(recipe)
    lengths = [share / rows for share, rows, _ in stretches]  # in steps, were one row read in all
    ends = [round(steps * sum(lengths[: i + 1]) / sum(lengths)) for i in range(len(lengths))]
    counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    return tuple(Phase(n, rows, cut) for n, (_, rows, cut) in zip(counts, stretches, strict=True) if n)


def check_processes(recipe: PretrainRecipe, size: int) -> None:
    """Refuse, before a text is read, what so many processes cannot share.

    Raises:
        InputError: rows of some phase that cannot be dealt out evenly, or an average of weights that are cut.
    """
    r = recipe.train
    if r.parallel == "fsdp" and r.average is not None:
        raise InputError(
            "an average of weights that processes share is not kept", where="train.average",
            remedy="leave it out, or train with train.parallel=ddp",
        )  # fmt: skip
    for _, rows, cut in _stretches(recipe) if r.parallel != "tensor" else ():
        if rows * cut % size:
            raise InputError(
                f"{rows * cut} rows a step cannot be dealt out evenly to {size} processes", where="train.batch_rows",
                remedy=f"make the rows of every step a multiple of {size}, with train.shorter and train.fewer, too",
            )  # fmt: skip


def _stretches(recipe: PretrainRecipe) -> list[tuple[float, int, int]]:
    """(share of what is read, rows a step, pieces of a row) of each phase."""
    r = recipe.train
    for key, pairs, whole in (("shorter", r.shorter, r.row_tokens), ("fewer", r.fewer, r.batch_rows)):
        for _, by in pairs:
            if by < 1 or whole % by:
                raise InputError(f"{by} does not divide {whole}", where=f"train.{key}", remedy="give a divisor")
    ends = sorted({share for share, _ in (*r.shorter, *r.fewer) if 0 < share < 1} | {1.0})
    made, begin = [], 0.0
    for end in ends:
        cut, fewer = (_at(pairs, begin) for pairs in (r.shorter, r.fewer))
        made.append((end - begin, r.batch_rows // fewer, cut))
        begin = end
    return made


def _at(pairs: tuple[tuple[float, int], ...], share: float) -> int:
    """The divisor that holds at a share of the run; 1 after the last."""
    return next((by for until, by in sorted(pairs) if share < until), 1)
