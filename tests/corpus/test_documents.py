"""Ids as numbers: what joins documents in memory, and what draws them."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from assay.corpus import documents

IDS = st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), max_size=20)


@given(IDS, st.integers(0, 5))
def test_ids_are_the_numbers_that_they_spell(ids: list[str], skipped: int) -> None:
    column = pa.array(ids, pa.string())[skipped:]
    spelled = ids[skipped:]
    assert documents.keys(column).tolist() == [int(one[:16], 16) for one in spelled]
    assert documents.uniform(column).tolist() == [int(one[:13], 16) / 16**13 for one in spelled]
    pieces = pa.chunked_array([column, pa.array(ids, pa.string())])
    assert documents.keys(pieces).tolist() == [int(one[:16], 16) for one in [*spelled, *ids]]


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 20))
def test_small_batches_become_row_groups_in_their_order(sizes: list[int], least: int) -> None:
    begins = [sum(sizes[:i]) for i in range(len(sizes))]
    batches = [pa.record_batch({"n": range(a, a + size)}) for a, size in zip(begins, sizes, strict=True)]
    made = list(documents.grouped(batches, least))
    assert [n for table in made for n in table.column("n").to_pylist()] == list(range(sum(sizes)))
    assert all(least <= table.num_rows < least + 9 for table in made[:-1])
