"""The recipe of a training: `assay train RECIPE`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from assay.recipe.sections import CorpusRecipe, Section

Preset = Literal[
    "proxy", "standard", "llama", "gpt2", "bert", "modern", "transformer", "marian", "bart", "t5", "rnn", "gru", "lstm",
    "ngram", "word2vec", "fasttext", "glove",
]  # fmt: skip
Estimator = Literal["ngram", "word2vec", "fasttext", "glove"]
"""Presets that have `fit`."""
Share = Annotated[float, Field(ge=0, le=1)]


class DataRecipe(CorpusRecipe):
    """What is read."""

    sources: tuple[str, ...] = Field(
        ("builtin:starter",),
        min_length=1,
        description="files, folders, hf://, s3://, https://, builtin:starter or builtin:python",
    )
    only: tuple[str, ...] | None = Field(None, description="train on these sources alone; all when not given")
    weights: dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="share of each source in training; by its amount of text when not given"
    )
    pair: tuple[str, str] | None = Field(
        None, description="train on pairs: the fields of what is read and of what is to be written, or the endings of"
        " two files of lines, as in [en, zh] for train.en and train.zh",
    )  # fmt: skip


class TokenizerRecipe(Section):
    """The tokenizer: one that exists, or one that is learned from the training text."""

    path: str | None = Field(None, description="a tokenizer.json, or a folder that holds one; learned when not given")
    kind: Literal["bpe", "unigram", "wordpiece", "character", "word"] = Field("bpe", description="what is learned")
    vocabulary: int = Field(8192, ge=16, le=1_000_000, description="token ids, at most")
    min_count: int = Field(2, ge=1, description="words and characters that are rarer are unknown")
    lower: bool = Field(False, description="word, wordpiece: case does not count (wordpiece: accents neither)")
    spaces: bool = Field(
        False, description="word: the text is cut into words by spaces already, as the Penn Treebank is"
    )
    sample_bytes: int = Field(20_000_000, ge=10_000, description="training text that it is learned from")

    @model_validator(mode="after")
    def _suits_the_kind(self) -> TokenizerRecipe:
        for name, kinds in (("lower", ("word", "wordpiece")), ("spaces", ("word",))):
            if getattr(self, name) and self.kind not in kinds:
                raise ValueError(f"{name} does not go with the kind {self.kind}: give {' or '.join(kinds)} as its kind")
        return self


class ModelRecipe(Section):
    """The model: a shape by name, or weights to go on from."""

    preset: Preset = Field("standard", description="the shape: see docs/models.md")
    path: str | None = Field(None, description="a model directory to go on from, instead of a preset")
    layers: int = Field(4, ge=1, le=200, description="layers (of each side of an encoder-decoder)")
    width: int = Field(128, ge=8, le=32768, multiple_of=2, description="model width")
    heads: int | None = Field(None, ge=1, description="attention heads; about 32 numbers each when not given")
    dropout: float | None = Field(None, ge=0, lt=1, description="the preset's when not given")
    vectors: str | None = Field(None, description="word vectors that the input layer begins with")
    more: dict[str, Any] = Field(
        default_factory=dict, description="other fields of the config or its block, such as kv_heads, window, softcap"
    )


class ObjectiveRecipe(Section):
    """What the model is asked, and what the loss holds besides."""

    kind: Literal["auto", "causal", "masked", "spans", "denoising", "pairs"] = Field(
        "auto", description="auto: causal for decoders and recurrent models, masked for encoders (and recurrent ones"
        " that read both ways); pairs where data.pair is given, else spans for T5, denoising for others",
    )  # fmt: skip
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="share of tokens that are hidden; the objective's own when not given"
    )
    mean_span: float = Field(3.0, ge=1, description="mean length of a hidden span, in tokens")
    whole_words: bool = Field(True, description="masked: words are hidden whole")
    smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing")
    z: float = Field(0.0, ge=0, description="factor of the z-loss")


class TeacherRecipe(Section):
    """A teacher, whose predictions are learned beside the text: see docs/compression.md."""

    teacher: str | None = Field(None, description="a model directory; none: the text alone")
    share: Share = Field(0.9, description="share of the loss that is the teacher's answers")
    temperature: float = Field(2.0, gt=0, description="what both models' logits are divided by")


class OptimizerRecipe(Section):
    """The optimizer and its rates; None: what suits the preset."""

    matrix: Literal["muon", "adamw", "adam", "sgd", "adafactor"] | None = Field(None, description="of the matrices")
    rest: Literal["adamw", "adam", "sgd", "adafactor"] = Field("adamw", description="of everything else")
    matrix_lr: float | None = Field(None, gt=0, le=1e6, description="peak learning rate of the matrices")
    embedding_lr: float | None = Field(None, gt=0, le=1e6, description="peak learning rate of embeddings")
    head_lr: float | None = Field(None, gt=0, le=1e6, description="peak learning rate of the output matrix")
    vector_lr: float | None = Field(None, gt=0, le=1e6, description="peak learning rate of gains and biases")
    momentum: float = Field(0.95, ge=0, lt=1, description="of Muon and SGD")
    betas: tuple[Share, Share] = Field((0.9, 0.95), description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="decoupled; an L2 penalty in Adam and SGD")
    l1: float = Field(0.0, ge=0, description="L1 penalty of matrices")
    clip_value: float | None = Field(None, gt=0, description="bound of each number of the gradient")
    clip_norm: float | None = Field(None, gt=0, description="bound of the gradient's norm")
    find: bool = Field(
        False,
        description="multiply all rates by a factor that a short run finds first (Smith 2017); learning_rate.json",
    )


class ScheduleRecipe(Section):
    """The learning rate over the run."""

    kind: Literal["wsd", "constant", "linear", "cosine", "restarts"] = Field("wsd", description="its shape")
    warmup: Share = Field(0.02, description="share of the run")
    decay: Share = Field(0.3, description="wsd: share of the run at its end")
    final: Share = Field(0.0, description="linear, cosine, restarts: factor of the peak after the last step")
    cycles: int = Field(4, ge=1, description="restarts: how many half waves")


class BudgetRecipe(Section):
    """How long the run is: one of these."""

    tokens: float | None = Field(None, gt=0, description="training tokens")
    steps: int | None = Field(None, ge=1, description="updates")
    epochs: float | None = Field(None, gt=0, description="readings of the training text")
    seconds: float | None = Field(None, gt=0, description="time to train, by a measurement when the run begins")

    @model_validator(mode="after")
    def _one(self) -> BudgetRecipe:
        given = [name for name in ("tokens", "steps", "epochs", "seconds") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} are both given: give one of them")
        return self


class RunRecipe(Section):
    """The run."""

    row_tokens: int = Field(256, ge=8, le=1 << 20, description="tokens of context, T")
    batch_rows: int = Field(16, ge=1, description="rows a step, B")
    micro_rows: int | None = Field(None, ge=1, description="compute so many rows at a time (accumulation)")
    shorter: tuple[tuple[Share, int], ...] = Field(
        (), description="how rows begin: [[0.3, 4]] cuts them into 4 for the first 30 % of the run"
    )
    fewer: tuple[tuple[Share, int], ...] = Field(
        (), description="how batches begin: [[0.2, 4]] reads B/4 rows a step for the first 20 % of the tokens"
    )
    carry_state: bool = Field(
        False, description="lstm, gru, rnn: rows go on where those of the step before ended, and states with them, but"
        " for a new document",
    )  # fmt: skip
    seed: int = Field(0, ge=0, description="of initial weights, order, masks and dropout")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float8"] = Field(
        "auto", description="auto: the fastest of float32 and bfloat16 in a measurement; float8 on GPUs since Ada"
    )
    tf32: bool = Field(True, description="let a GPU multiply float32 matrices in TF32")
    device: str = Field("auto", description="auto: a GPU where there is one, else cpu")
    parallel: Literal["ddp", "fsdp", "tensor"] = Field("ddp", description="under torchrun: how ranks share the work")
    checkpointing: bool = Field(False, description="compute activations again in the backward pass: less memory")
    loaders: int = Field(1, ge=0, le=64, description="threads that make batches ahead; the result is the same")
    average: float | None = Field(
        None, ge=0, lt=1, description="evaluate and keep an exponential average of weights; not with fsdp"
    )
    sparse: bool = Field(False, description="numbers of matrices that are 0 in the model that is gone on from stay 0")
    base_width: int | None = Field(
        None, ge=8, description="the width that the learning rates were tuned at; they are transferred to this one"
    )

    @model_validator(mode="after")
    def _rows_that_go_on(self) -> RunRecipe:
        if self.carry_state and (self.shorter or self.fewer):
            name = "shorter" if self.shorter else "fewer"
            raise ValueError(
                f"{name} does not go with carry_state: rows that go on are as many and as long at each step"
            )
        return self


class KeepRecipe(Section):
    """Evaluation, checkpoints, logs."""

    evaluate: float = Field(0.1, gt=0, le=1, description="evaluate after each such share of the run")
    eval_tokens: int | None = Field(None, ge=256, description="held-out tokens a source; derived when not given")
    patience: int | None = Field(None, ge=1, description="stop after so many evaluations without a better one")
    save_seconds: float = Field(300.0, gt=0, description="save a checkpoint so often, and at the end")
    save_steps: int | None = Field(None, ge=1, description="save every so many steps instead")
    last: int = Field(2, ge=1, description="keep so many checkpoints")
    best: bool = Field(True, description="keep the weights of the best evaluation")
    log: int | None = Field(None, ge=1, description="log every so many steps; about 200 times a run when not given")
    tensorboard: bool = Field(False, description="write TensorBoard events too (needs the extra `telemetry`)")
    profile: int | None = Field(
        None, ge=1, description="write a trace of so many steps, after the first ten where there are more"
    )
    emissions: str | None = Field(
        None, pattern="^[A-Z]{3}$", description="count carbon emissions on this country's grid, such as CHN or USA"
        " (needs the extra `emissions`)",
    )  # fmt: skip


class NgramRecipe(Section):
    """preset: ngram."""

    order: int = Field(5, ge=1, le=9, description="the longest n-gram")


class VectorsRecipe(Section):
    """presets word2vec, fasttext, glove."""

    algorithm: Literal["skipgram", "cbow"] = Field("skipgram", description="word2vec and fasttext")
    window: int = Field(5, ge=1, le=50, description="words on each side")
    min_count: int = Field(5, ge=1, description="rarer words are left out")
    negative: int = Field(5, ge=1, description="negative samples")
    epochs: int = Field(5, ge=1, description="readings of the text (GloVe: of the co-occurrences)")
    learning_rate: float | None = Field(None, gt=0, description="the method's own when not given")
    subsample: float | None = Field(
        None, ge=0, lt=1, description="skip words above this share of the text at random; 0.001, for GloVe 0"
    )
    shortest: int = Field(3, ge=1, description="FastText: letters of the shortest piece of a word, its ends counted")
    longest: int = Field(
        6, ge=1, description="FastText: of the longest piece; Chinese words are short: shortest 1, longest 3 suit them"
    )
    buckets: int = Field(200_000, ge=1, description="FastText: vectors that all pieces share by their hashes")
    most: float = Field(100.0, gt=0, description="GloVe: pairs that occur more often count no more")
    power: float = Field(0.75, gt=0, description="GloVe: rarer pairs count by (occurrences / most) to this power")
    batch: int = Field(
        1024, ge=1, description="GloVe: pairs whose gradients are taken before any is used; 1 is the authors' program"
    )
    workers: int = Field(1, ge=1, le=256, description="threads; with more than one no two runs are alike")

    @model_validator(mode="after")
    def _in_order(self) -> VectorsRecipe:
        if self.longest < self.shortest:
            raise ValueError(f"longest is {self.longest} and shortest {self.shortest}: let longest be no less")
        return self


class PretrainRecipe(Section):
    """A training, whole."""

    data: DataRecipe = DataRecipe()
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: ModelRecipe = ModelRecipe()
    objective: ObjectiveRecipe = ObjectiveRecipe()
    distill: TeacherRecipe = TeacherRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    budget: BudgetRecipe = BudgetRecipe()
    train: RunRecipe = RunRecipe()
    keep: KeepRecipe = KeepRecipe()
    ngram: NgramRecipe = NgramRecipe()
    vectors: VectorsRecipe = VectorsRecipe()
    title: str | None = Field(None, description="name of the model in its card")

    def identity(self) -> dict[str, Any]:
        """All that the weights depend on: not how often they are looked at, logged or kept."""
        kept = {"log", "tensorboard", "profile", "emissions", "last", "save_seconds", "save_steps"}
        left_out: Any = {"title": True, "train": {"loaders"}, "keep": kept}
        left_out |= {} if self.distill.teacher else {"distill": True}
        return self.model_dump(mode="json", exclude=left_out)
