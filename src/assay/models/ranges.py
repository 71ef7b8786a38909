"""Numbers that a config can hold, as types; and a value held to the type of its field.

kv_heads: Count | None = None
checked(BlockConfig, "kv_heads", 0)         ValueError: kv_heads should be greater than or equal to 1 (given: 0)
"""

from __future__ import annotations

import json
from typing import Annotated, Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

MOST = 2**31 - 1  # what PyTorch can make a tensor of
Count = Annotated[int, Field(ge=1, le=MOST)]
Number = Annotated[int, Field(ge=0, le=MOST)]
Dropout = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def checked(kind: type[Any], name: str, value: Any) -> Any:
    """The value as the field `name` of a config of this kind has it: a list of YAML is a tuple there.

    Raises:
        ValueError: it is of another type or out of range, with what is allowed.
    """
    try:
        return TypeAdapter(get_type_hints(kind, include_extras=True)[name]).validate_json(
            json.dumps(value), strict=True
        )
    except TypeError as error:  # YAML has dates and sets, too
        raise ValueError(f"{name} has no such values (given: {value!r})") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *map(str, first["loc"])])
        raise ValueError(f"{key} {first['msg'].removeprefix('Input ').lower()} (given: {value!r})") from error
