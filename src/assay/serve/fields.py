"""What clients send, typed: OpenAI's fields, some more, and none that would be ignored.

A field that is null says nothing. One that asks for what this server does not do is refused by name, and so is one that
nobody knows; `user`, a label of the client's own, changes no answer and is accepted.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

UNSUPPORTED = {
    "tools": (), "tool_choice": ("none",), "functions": (), "function_call": ("none",), "parallel_tool_calls": (True,),
    "modalities": (["text"],), "audio": (), "prediction": (), "web_search_options": (), "store": (False,),
    "metadata": ({},), "service_tier": ("auto", "default"), "reasoning_effort": (), "suffix": ("",), "best_of": (1,),
    "verbosity": (), "echo": (False,),
}  # fmt: skip
"""Fields of OpenAI's that are not supported, and the values of each that ask for nothing."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1)]
Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=64)]


class Body(BaseModel):
    """A request's."""

    model_config = ConfigDict(extra="forbid", strict=True)
    model: Name = Field(description="Name of a model: GET /v1/models lists them.")

    @model_validator(mode="before")
    @classmethod
    def _said(cls, given: Any) -> Any:
        """Without what says nothing."""
        if not isinstance(given, dict):
            raise ValueError("the body is no JSON object")
        for name, harmless in UNSUPPORTED.items():
            if name in cls.model_fields or name not in given:
                continue
            value = given[name]
            if value is not None and value != [] and value not in harmless:
                told = "{field} is not supported by this server -> leave it out"
                raise PydanticCustomError("unsupported", told, {"field": name})
        return {
            name: value
            for name, value in given.items()
            if value is not None and (name in cls.model_fields or name not in UNSUPPORTED)
        }


class StreamOptions(BaseModel):
    """Of a stream."""

    model_config = ConfigDict(extra="forbid", strict=True)
    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class Written(Body):
    """What completions and chat have in common."""

    max_tokens: Annotated[int, Field(ge=1)] | None = Field(None, description="Of an answer.")
    temperature: Annotated[Finite, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[Finite, Field(gt=0, le=1)] = 1.0
    n: Annotated[int, Field(ge=1, le=16)] = 1
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=8)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = Field(
        None, description="The same request with the same seed has the same answer; without one, it is drawn."
    )
    presence_penalty: Annotated[Finite, Field(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[Finite, Field(ge=-2, le=2)] = 0.0
    logit_bias: Annotated[dict[str, Annotated[Finite, Field(ge=-100, le=100)]], Field(max_length=1024)] = Field(
        default_factory=dict, description="Token id -> what is added to its logit."
    )
    user: Annotated[str, StringConstraints(max_length=512)] | None = Field(None, description="Changes no answer.")
    top_k: Annotated[int, Field(ge=1)] | None = None
    min_p: Annotated[Finite, Field(gt=0, le=1)] | None = None
    repetition_penalty: Annotated[Finite, Field(gt=0, le=100)] = 1.0
    no_repeat_ngram: Annotated[int, Field(ge=0, le=64)] = 0
    min_tokens: Annotated[int, Field(ge=0)] = 0
    choices: Annotated[list[Text], Field(max_length=256)] = Field(
        default_factory=list, description="The answer is one of these."
    )
    regex: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        None, description="The answer matches this regular expression."
    )

    @model_validator(mode="after")
    def _fits(self) -> Written:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is given, and stream is not true")
        return self


class Completion(Written):
    """Of /v1/completions."""

    prompt: str | Ids | Annotated[list[str] | list[Ids], Field(min_length=1, max_length=64)] = Field(
        description="A text or its token ids, or several of either."
    )
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = Field(
        None,
        description="Log-probabilities of the answer's tokens, as the model has them, and of so many of the most likely"
        " ones in the place of each.",
    )

    @property
    def scores(self) -> int | None:
        """How many likely tokens are told beside each one with its log-probability; None: not even that."""
        return self.logprobs


class Part(BaseModel):
    """Of a message."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["text"] = Field(description="Images and other files are not read, nor is any address fetched.")
    text: str


class Message(BaseModel):
    """Of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def plain(self) -> dict[str, str]:
        """As the model's template takes it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class JsonSchema(BaseModel):
    """A schema with a name."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = ""
    description: str | None = None
    strict: bool | None = None
    content: dict[str, Any] = Field(alias="schema", default_factory=dict)


class ResponseFormat(BaseModel):
    """What an answer has to be."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _whole(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema goes with type json_schema")
        return self


class Chat(Written):
    """Of /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=1024)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = Field(None, description="As max_tokens.")
    response_format: ResponseFormat | None = None
    logprobs: bool = Field(False, description="Log-probabilities of the answer's tokens, as the model has them.")
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="And of so many of the most likely ones in the place of each."
    )

    @property
    def scores(self) -> int | None:
        """As of a completion."""
        return (self.top_logprobs or 0) if self.logprobs else None

    @model_validator(mode="after")
    def _one_most(self) -> Chat:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are both given")
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs is given, and logprobs is not true")
        return self


class Embeddings(Body):
    """Of /v1/embeddings."""

    input: Text | Texts = Field(description="A text, or several.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = Field(None, description="The model's own, or none.")
    user: Annotated[str, StringConstraints(max_length=512)] | None = Field(None, description="Changes no answer.")


Asked = Text | dict[str, Any]


class Task(Body):
    """Of the routes of tasks."""

    input: Asked | Annotated[list[Asked], Field(min_length=1, max_length=64)] = Field(
        description="A text, or an object of the task's fields (two texts of a pair, say); or several."
    )

    @property
    def several(self) -> list[str | dict[str, Any]]:
        """One or several, as several."""
        return self.input if isinstance(self.input, list) else [self.input]


class Answer(Body):
    """Of /v1/answer."""

    question: Text
    context: Text
