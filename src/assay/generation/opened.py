"""Any model directory that writes, with its tokenizer: what a text becomes before the model sees it.

    decoder, LSTM, n-grams    [begin] text                        goes on with the text
    encoder-decoder           text [end]                          writes what belongs to it
    a model of a task         the text as the task puts it        translation, summaries, answers: task.json says how
    a conversation            [begin] turns ...                   by the template of the task, or of the directory

`Writer.prompt` takes a text or the messages of a conversation, and gives ids that fit the model's context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from assay.errors import InputError
from assay.generation.conversation import (
    PLAIN,
    Chat,
    Ids,
    Jinja,
    Message,
    Own,
    Template,
    chat_template,
    checked,
    fitting,
)
from assay.generation.marks import around, endings, stated_in
from assay.generation.settings import Settings
from assay.inference.steppers import stepper
from assay.models import interop
from assay.models.ngram import KneserNey
from assay.models.seq2seq import Seq2Seq
from assay.store import file_digest, fingerprint
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder
from assay.train.predict import NGRAM, Predictor

TASK = "task.json"  # of a model of a task; `tasks.opened` writes it
TEXT = "{text}"
FILES = (
    NGRAM, "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    "generation_config.json", TASK,
)  # fmt: skip
_PLACES = ("{text}", "{source}")  # of what is given, in the prompt of a task
USUAL = Settings()
Asked = str | Sequence[Message]
Self = TypeVar("Self", bound="Writer")


@dataclass(frozen=True)
class Prompt:
    """What a model goes on from.

    Attributes:
        alone: the answer is a text by itself, and does not go on with the last word of the prompt.
        turns_cut: messages of a conversation that were left out, the oldest.
    """

    ids: Ids
    alone: bool = True
    turns_cut: int = 0


@dataclass(frozen=True)
class Writer:
    """A model that writes.

    Attributes:
        begin: the id before every prompt; None: the model knows none.
        end: of an encoder-decoder, the id that ends its source.
        stops: ids that end an answer.
        pattern: how a text is put to the model: {text} is put in.
        asks: a text is a question, which the model answers as in a conversation.
        chat: how a conversation is put to it; None: it holds none.
        usual: settings that are the model's own.
        folder: that it was read from.
    """

    model: Any
    encoder: Encoder
    begin: int | None = None
    end: int | None = None
    stops: Ids = ()
    pattern: str = TEXT
    asks: bool = False
    chat: Chat | None = None
    usual: Settings = USUAL
    folder: Path | None = None

    @classmethod
    def load(cls: type[Self], folder: Path, device: str = "cpu") -> Self:
        """The model of a directory, or of a run's folder.

        Raises:
            InputError: there is none, or it is of a family that does not write.
        """
        folder = model_folder(Path(folder))
        model: Any = KneserNey.load(folder / NGRAM) if (folder / NGRAM).exists() else interop.load(folder)
        stepper(model)  # refuses what does not write
        if isinstance(model, Seq2Seq):
            encoder, begin, end = Encoder.load(folder), None, interop.read_config(folder).get("eos_token_id")
        else:
            predictor = Predictor.of(folder, model)
            encoder, begin, end = predictor.encoder, predictor.begin, None
        if not isinstance(model, KneserNey):
            model = model.to(device)
        stops = endings(folder) or tuple(i for i in (begin,) if i is not None)
        made = cls(model, encoder, begin, end, stops, folder=folder)
        return made.of_task(folder, stated_in(folder / TASK))

    def of_task(self: Self, folder: Path, stated: Mapping[str, Any]) -> Self:
        """The same as its task asks it; without one, as a language model is asked."""
        options = stated.get("options") or {}
        if not stated:
            return self if self.is_translator else replace(self, chat=self._chat(folder))
        first, last = around(self.encoder, folder)
        begin = END_OF_TEXT_ID if first is None else first
        end = begin if last is None else last
        usual = {"max_new_tokens": options.get("new"), "beams": options.get("beams"),
                 "length_penalty": options.get("penalty"), "no_repeat": options.get("no_repeat")}  # fmt: skip
        made = replace(self, usual=Settings().but(**usual), stops=tuple(dict.fromkeys((*self.stops, end))))
        if self.is_translator:
            return replace(made, end=end)
        chat = (
            Own(Template.of(options["template"]), begin, end, options.get("system")) if "template" in options else None
        )
        pattern = options.get("prompt", TEXT)
        place = next((place for place in _PLACES if place in pattern), None)
        pattern = TEXT if place is None else pattern.replace(place, TEXT)
        return replace(made, begin=begin, chat=chat, asks=chat is not None, pattern=pattern)

    def _chat(self, folder: Path) -> Chat:
        """The directory's template; without one a plain one, where the next turn of the user ends an answer."""
        found: Jinja | None = chat_template(folder, self.encoder.special)
        if found is not None:
            return found
        end = self.stops[0] if self.stops and self.stops[0] != self.begin else None
        return Own(PLAIN, self.begin, end, stops=("\n" + PLAIN.user[0].rstrip(),))

    @property
    def is_translator(self) -> bool:
        """An encoder-decoder: prompts are its sources."""
        return isinstance(self.model, Seq2Seq)

    @cached_property
    def positions(self) -> int | None:
        """Tokens of a prompt at most; None: any number."""
        return stepper(self.model).reads

    @property
    def name(self) -> str:
        """Of its folder, or of the run's."""
        if self.folder is None:
            return type(self.model).__name__
        return self.folder.resolve().parent.name if self.folder.name == "model" else self.folder.resolve().name

    @cached_property
    def fingerprint(self) -> str:
        """Of the files that say what it writes."""
        folder = self.folder
        if folder is None:
            raise ValueError("a model that was read from no folder has no fingerprint")
        shards = sorted(path.name for path in folder.glob("model-*.safetensors"))
        found = [folder / name for name in (*FILES, *shards) if (folder / name).is_file()]
        return fingerprint({path.name: file_digest(path) for path in found})

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Of each text, without anything around it; a special token that a text spells is its characters."""
        ids, offsets = self.encoder.encode(texts)
        return [tuple(ids[a:b].tolist()) for a, b in pairwise(offsets)]

    def begun(self, ids: Ids, where: str) -> Ids:
        """Ids of a text with what stands around it.

        Raises:
            InputError: that is nothing.
        """
        if self.is_translator:
            ids = ids if self.end is None else (*ids, self.end)
        elif self.begin is not None:
            ids = (self.begin, *ids)
        if not ids:
            what = "the text is empty, and the model knows no id that stands around one"
            raise InputError(what, where=where, remedy="give a prompt, or another model")
        return ids

    def prompts(self, asked: Sequence[Asked | Prompt], settings: Settings, *, raw: bool = False) -> list[Prompt]:
        """What the model goes on from, of texts and of conversations; prompts stay as they are.

        Args:
            raw: texts are put to the model as they are, whatever it was trained for.

        Raises:
            InputError: a text is not valid, or longer than the model's context; a conversation has unknown roles.
        """
        return [
            one if isinstance(one, Prompt) else self._prompt(one, settings, f"prompt {i}", raw)
            for i, one in enumerate(asked, 1)
        ]

    def is_talk(self, asked: Asked | Prompt, *, raw: bool = False) -> bool:
        """Whether it is put to the model as a conversation."""
        return not isinstance(asked, Prompt) and (not isinstance(asked, str) or (self.asks and not raw))

    def _prompt(self, asked: Asked, settings: Settings, where: str, raw: bool) -> Prompt:
        if isinstance(asked, str) and not self.is_talk(asked, raw=raw):
            _valid(asked, where)
            ids = self.begun(self.ids([asked if raw else self.pattern.replace(TEXT, asked)])[0], where)
            self._check(ids, where)
            return Prompt(ids, alone=self.is_translator or (self.pattern != TEXT and not raw))
        messages = checked([{"role": "user", "content": asked}] if isinstance(asked, str) else asked, where)
        for message in messages:
            _valid(message["content"], where)
        if self.chat is None:
            raise InputError("the model holds no conversations", where=self.folder, remedy="give it a text")
        chat = self.chat
        # Half of the context at least is the conversation's; the rest may be the answer's.
        positions = self.positions
        room = None if positions is None else positions - min(settings.max_new_tokens, positions // 2)
        ids, cut = fitting(messages, lambda kept: chat.ids(kept, self.ids), room)
        self._check(ids, where)
        return Prompt(ids, turns_cut=cut)

    def _check(self, ids: Ids, where: str) -> None:
        if self.positions is not None and len(ids) > self.positions:
            what = f"{len(ids)} tokens, and the model's context has {self.positions}"
            raise InputError(what, where=where, remedy="give a shorter text")


def model_folder(folder: Path) -> Path:
    """A model directory: the folder itself, or `model` within a run's.

    Raises:
        InputError: there is none.
    """
    folder = Path(folder)
    for place in (folder, folder / "model"):
        if (place / NGRAM).is_file() or (place / "config.json").is_file():
            return place
    raise InputError("holds no model", where=folder, remedy="give a model directory, or the folder of a training")


def _valid(text: str, where: str) -> None:
    """That a text is one: half of a surrogate pair comes of bytes that were no UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"is not valid UTF-8, from character {error.start + 1} on", where=where, remedy="give it in UTF-8"
        ) from error
