"""Padding before rows that end together, and behind sources: how much of it there is, and what of it can be let go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from assay.models.attention import PADDING

MOST_DEAD = 32  # positions that may be padding in all rows, before what is remembered is copied without them


def without_padding(lead_B: Tensor | None, rows_N: Tensor) -> tuple[Tensor | None, int]:
    """Of some rows, padding before each, and how many of the first positions are padding in all of them and are left
    out: a batch that rows join and leave for ever would keep them."""
    if lead_B is None or not len(rows_N):
        return None, 0
    lead_N = lead_B.index_select(0, rows_N)
    least, most = (int(x) for x in torch.aminmax(lead_N))
    return (lead_N - least if most > least else None), least


def leads(one: Any, other: Any) -> Tensor | None:
    """Padding before each of the rows of both, which end together; None where there is none."""
    lengths = [rows.memories[0][0].length for rows in (one, other)]
    if lengths[0] == lengths[1] and one.lead_B is None and other.lead_B is None:
        return None
    parts = []
    for rows, length in zip((one, other), lengths, strict=True):
        none = torch.zeros(rows.memories[0][0].rows, dtype=torch.int64, device=one.device)
        parts.append((none if rows.lead_B is None else rows.lead_B) + max(lengths) - length)
    return torch.cat(parts)


def leads_with(one: Any, other: Any, at: Sequence[int]) -> Tensor | None:
    """Padding before each row once another's rows have these places. None: they are longer, or so much of what is
    remembered would be padding in all rows that copying the rest is worth it."""
    own, its = (rows.memories[0][0] for rows in (one, other))
    if its.length > own.length:
        return None
    none = torch.zeros(own.rows, dtype=torch.int64, device=one.device)
    leads_B = none if one.lead_B is None else one.lead_B.clone()
    theirs = own.length - its.length
    leads_B[list(at)] = theirs if other.lead_B is None else other.lead_B + theirs
    return None if int(leads_B.min()) > max(MOST_DEAD, own.length // 4) else leads_B


def shortest(segments_BS: Tensor) -> tuple[Tensor | None, int]:
    """Without what is padding at the ends of all rows, None where none is left; and the length of the longest row."""
    lengths = (segments_BS != PADDING).sum(dim=1)
    least, most = (int(x) for x in torch.aminmax(lengths))
    return (segments_BS[:, :most] if least < most else None), most
