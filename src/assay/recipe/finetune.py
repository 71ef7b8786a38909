"""The recipe of a downstream task: `assay finetune TASK`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from assay.recipe.pretrain import (
    BudgetRecipe,
    KeepRecipe,
    ModelRecipe,
    ObjectiveRecipe,
    OptimizerRecipe,
    RunRecipe,
    ScheduleRecipe,
    Share,
    TeacherRecipe,
    TokenizerRecipe,
)
from assay.recipe.sections import Section


class ExamplesRecipe(Section):
    """Where the examples are."""

    train: tuple[str, ...] = Field((), description="files; a folder with files named .train. .dev. .test.; hf://")
    dev: tuple[str, ...] = Field((), description="what decides when to stop; cut from train where not given")
    test: tuple[str, ...] = Field((), description="looked at once, at the end")
    format: Literal["table", "conll", "squad", "parallel", "chat", "preference", "kto", "spans"] | None = Field(
        None, description="what rows say; told by the first row when not given"
    )
    fields: dict[str, str] = Field(
        default_factory=dict, description="other names of fields: {text: sentence} reads `sentence` as `text`"
    )
    column: str | int | None = Field(None, description="of columns (CoNLL): the one with the tags; the last")
    on_error: Literal["stop", "skip"] = Field("stop", description="what a bad row does")
    dev_share: float = Field(0.1, gt=0, lt=1, description="share of the training texts that is cut off as dev")
    limit: int | None = Field(None, ge=2, description="train on so many examples alone, chosen by their content")


class BodyRecipe(ModelRecipe):
    """The model below the head."""

    preset: Literal[
        "proxy", "standard", "llama", "gpt2", "bert", "modern", "transformer", "marian", "bart", "t5", "rnn", "gru",
        "lstm", "bilstm", "textcnn",
    ] = Field(  # type: ignore[assignment]
        "bert", description="the shape where no path is given: see docs/models.md; bilstm reads both ways, textcnn"
        " whole texts",
    )  # fmt: skip
    path: str | None = Field(None, description="a model directory to begin with: pretrained here, or Hugging Face's")
    keep_head: bool = Field(False, description="path: go on with its head, too; a model of the same task and labels")
    dense: bool | None = Field(None, description="a layer and tanh before the output; encoders have one")
    head_dropout: float | None = Field(None, ge=0, lt=1, description="before the output; 0.1")
    crf: bool = Field(False, description="tags: score rows of tags, not each by itself")
    pool: Literal["first", "last", "mean", "max"] | None = Field(
        None, description="which states a head of whole texts reads; by the kind of model when not given"
    )


class TuneRecipe(Section):
    """Which weights are trained, and how fast."""

    frozen: tuple[str, ...] = Field((), description="patterns of names that stay: [body.*] trains the head alone")
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="rates of a layer are multiplied by this for each layer above it"
    )
    lora: int | None = Field(None, ge=1, description="train adapters of this rank in place of the model's matrices")
    lora_alpha: float = Field(16.0, gt=0, description="adapters are multiplied by this over their rank")
    lora_targets: tuple[str, ...] = Field(("*",), description="patterns of the names of layers that get adapters")
    dora: bool = Field(False, description="adapters turn rows, whose lengths are learned apart")
    pack: bool = Field(False, description="tasks of writing: several examples in a row, which do not see each other")
    rate: float | None = Field(
        None, gt=0, le=1, description="one peak learning rate for all; by the model if not given"
    )
    head_rate: float | None = Field(None, gt=0, le=1, description="of the head; ten times `rate` with a given model")


class DistillRecipe(TeacherRecipe):
    """A teacher, whose answers are learned beside labels: see docs/compression.md."""

    teacher: str | None = Field(None, description="a model of the same task; none: labels alone")
    hidden: float = Field(0.0, ge=0, description="factor of the squared distance to the states of the teacher's head")
    unlabelled: tuple[str, ...] = Field((), description="more texts, without labels: the teacher's answers alone")
    copies: int = Field(0, ge=0, le=32, description="copies of each text with words left out, that the teacher answers")
    drop: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="share of the words that copies lack")


class TunedOptimizer(OptimizerRecipe):
    """The optimizer, as suits fine-tuning (Devlin et al. 2019)."""

    betas: tuple[Share, Share] = Field((0.9, 0.98), description="of Adam")
    weight_decay: float = Field(0.01, ge=0, description="decoupled; an L2 penalty in Adam and SGD")
    clip_norm: float | None = Field(1.0, gt=0, description="bound of the gradient's norm")


class TunedSchedule(ScheduleRecipe):
    """The learning rate over the run: up for a tenth of it, then down to nothing."""

    kind: Literal["wsd", "constant", "linear", "cosine", "restarts"] = Field("linear", description="its shape")
    warmup: Share = Field(0.1, description="share of the run")


class TunedRun(RunRecipe):
    """The run."""

    row_tokens: int = Field(128, ge=8, le=1 << 20, description="tokens of a row, at most; longer texts are cut")
    batch_rows: int = Field(32, ge=1, description="rows a step")


class FinetuneRecipe(Section):
    """A downstream task, whole."""

    task: dict[str, Any] = Field(default_factory=dict, description="options of the task")
    data: ExamplesRecipe = ExamplesRecipe()
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: BodyRecipe = BodyRecipe()
    objective: ObjectiveRecipe = ObjectiveRecipe()
    optimizer: TunedOptimizer = TunedOptimizer()
    schedule: TunedSchedule = TunedSchedule()
    tune: TuneRecipe = TuneRecipe()
    distill: DistillRecipe = DistillRecipe()
    budget: BudgetRecipe = BudgetRecipe()
    train: TunedRun = TunedRun()
    keep: KeepRecipe = KeepRecipe()
    floor: bool = Field(True, description="fit the linear baseline, too, and report it beside the result")
    title: str | None = Field(None, description="name of the model in its card")

    def identity(self) -> dict[str, Any]:
        """All that the weights and the scores depend on."""
        kept = {"log", "tensorboard", "profile", "emissions", "last", "save_seconds", "save_steps"}
        left_out: Any = {"title": True, "train": {"loaders"}, "keep": kept}
        left_out |= {} if self.distill.teacher else {"distill": True}
        return self.model_dump(mode="json", exclude=left_out)
