"""What every recipe is made of, and the section that all of them have."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CorpusRecipe(Section):
    """How sources are read and held-out text is chosen."""

    source_field: str | None = Field(None, description="field of each row that names its source")
    text_field: str | None = Field(None, description="field that holds the text; found by name when not given")
    encoding: str | None = Field(
        None, description="encoding of all files; not given, or auto: by file, a byte order mark, UTF-8, or detected"
    )
    on_error: Literal["stop", "skip"] = Field("stop", description="what a bad row or file does")
    html: Literal["resiliparse", "trafilatura", "both"] = Field(
        "resiliparse", description="what finds the main text of web pages; the other two need the extra html"
    )
    eval_share: float = Field(0.05, gt=0, le=0.3, description="share of document clusters held out to fit laws on")
    test_share: float = Field(0.05, gt=0, le=0.3, description="share held out for registered predictions alone")
