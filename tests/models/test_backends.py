"""Every attention backend gives what the views say, and packed rows are as documents alone on each of them.

Kernels that only a GPU has are tested where one is. Elsewhere FlexAttention's forward pass runs without being compiled,
and what is prepared for varlen goes to a loop that takes each piece for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from test_attention import VIEWS, B, T, brute, heads
from torch import Tensor
from torch.nn import functional

from assay.models import attention, packed
from assay.models.attention import PADDING, attend, causal, choose, using, within
from assay.models.blocks import BlockConfig
from assay.models.decoder import Decoder, DecoderConfig
from assay.models.encoder import Encoder, modern

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
PLAIN = ["causal", "within", "across", "across, padded"]  # what FlexAttention leaves to others
PACKED = ["causal, packed", "causal, packed, window", "within, packed"]


def piece_by_piece(
    q: Tensor, k: Tensor, v: Tensor, bounds_q: Tensor, bounds_k: Tensor, longest_q: int, longest_k: int, *,
    scale: float | None, window_size: tuple[int, int], enable_gqa: bool,
) -> Tensor:  # fmt: skip
    """What `varlen_attn` documents: (tokens, heads, K), documents [bounds[i], bounds[i + 1]), a window of (left, right)
    positions besides one's own, -1 for no bound."""
    assert bounds_q.dtype is bounds_k.dtype is torch.int32
    assert longest_q == int(bounds_q.diff().max())
    assert longest_k == int(bounds_k.diff().max())
    assert (bounds_q[0], bounds_q[-1]) == (0, len(q))
    left, right = (10**6 if size < 0 else size for size in window_size)
    out = []
    for start, end in zip(bounds_q.tolist(), bounds_q.tolist()[1:], strict=False):
        place = torch.arange(end - start)
        behind = place[:, None] - place[None]
        a, b, c = (x[start:end].transpose(0, 1)[None] for x in (q, k, v))
        mask = (behind <= left) & (-behind <= right)
        out.append(functional.scaled_dot_product_attention(a, b, c, attn_mask=mask, scale=scale, enable_gqa=enable_gqa))
    return torch.cat([part[0].transpose(0, 1) for part in out])


@pytest.fixture
def with_varlen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(packed, "_varlen", lambda: piece_by_piece)
    yield


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", [name for name in VIEWS if name not in PLAIN])
def test_flex_attention_sees_what_the_view_says(name: str, groups: int) -> None:
    view, length, sees = VIEWS[name]
    q, k, v = heads(T, 4, 0), heads(length, groups, 1), heads(length, groups, 2)
    with using("flex"):
        torch.testing.assert_close(attend(q, k, v, view), brute(q, k, v, sees))
        torch.testing.assert_close(attend(q, k, v, view, scale=1.0), brute(q, k, v, sees, scale=1.0))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", PACKED)
def test_pieces_see_what_the_view_says(name: str, groups: int, with_varlen: None) -> None:
    view, length, sees = VIEWS[name]
    q, k, v = heads(T, 4, 0), heads(length, groups, 1), heads(length, groups, 2)
    with using("varlen"):
        torch.testing.assert_close(attend(q, k, v, view), brute(q, k, v, sees))
        torch.testing.assert_close(attend(q, k, v, view, scale=1.0), brute(q, k, v, sees, scale=1.0))


def test_pieces_are_the_runs_of_segments_and_never_cross_rows() -> None:
    cut = packed.pieces(torch.tensor([[0, 0, 1, 1], [1, 1, 2, PADDING]]))
    assert cut is not None
    assert cut.bounds.tolist() == [0, 2, 4, 6, 7, 8]
    assert cut.longest == 2
    assert packed.pieces(torch.tensor([[0, 1, 0, 0]])) is None  # its two runs of 0 see one another
    view = causal(torch.tensor([[0, 1, 0, 0]]))
    with using("varlen"), pytest.raises(ValueError, match="varlen cannot"):
        attend(heads(4, 1, 0)[:1], heads(4, 1, 1)[:1], heads(4, 1, 2)[:1], view)


def test_the_first_backend_that_can_is_taken() -> None:
    segments = torch.tensor([[0, 0, 0, 1, 1, 1, 1]] * B)
    q = heads(T, 4, 0)
    for view in (causal(None), causal(segments), within(segments), causal(None, 3, T)):
        for x in (q, q.bfloat16()):
            assert choose(x, x, view).name == "products"
            assert choose(x, x[:, :2], view).name == "sdpa"  # neither varlen nor FlexAttention trains on a CPU
            assert choose(x, x, view, dropout=0.1).name == "sdpa"
        assert choose(q.double(), q.double(), view).name == "sdpa"
    bias = causal(segments).with_bias(torch.zeros(1, 4, T, T))
    for name in ("varlen", "flex", "products"):
        with using(name), pytest.raises(ValueError, match=f"{name} cannot"):
            attend(q, q, q, bias)
    with pytest.raises(ValueError, match="no attention backend is called 'flash'"), using("flash"):
        pass
    assert choose(q, q, causal(None)).name == "products"  # as before


def test_a_view_makes_its_blocks_once_and_places_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    plain = packed.blocks
    monkeypatch.setattr(packed, "blocks", lambda *a: made.append(1) or plain(*a))
    view = causal(torch.tensor([[0, 0, 0, 1, 1, 1, 1]] * B))
    assert view.blocks is view.blocks
    assert len(made) == 1
    assert causal(None, 5, 19).blocks is causal(None, 5, 19).blocks
    assert len(made) == 2


BLOCK = BlockConfig(24, 4, kv_heads=2, window=9)
MODELS: dict[str, Callable[[], Any]] = {
    "decoder": lambda: Decoder(DecoderConfig(40, 2, BLOCK, init="gpt2"), torch.Generator().manual_seed(0)),
    "encoder": lambda: Encoder(modern(40, 2, 24, 4), torch.Generator().manual_seed(0)),
}
LENGTHS = [11, 1, 14]


def logits(model: Any, ids_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        return model(ids_BT, segments_BT)


ON_EACH = [(f, b) for f in MODELS for b in ("sdpa", "flex", "varlen")] + [("encoder", "products")]  # no groups there


@pytest.mark.parametrize(("family", "backend"), ON_EACH)
def test_packed_is_unpacked_on_every_backend(family: str, backend: str, with_varlen: None) -> None:
    model = MODELS[family]().eval()
    row = torch.randint(0, 40, (1, sum(LENGTHS)), generator=torch.Generator().manual_seed(1))
    segments = torch.repeat_interleave(torch.arange(3), torch.tensor(LENGTHS))[None]
    alone = torch.cat([logits(model, part) for part in row.split(LENGTHS, dim=1)], dim=1)
    with using(backend):
        torch.testing.assert_close(logits(model, row, segments), alone, rtol=1e-4, atol=1e-5)


def _gradients(name: str, view: attention.View, inputs: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    leaves = [x.to(dtype).requires_grad_() for x in inputs]
    with using(name):
        out = attend(leaves[0], leaves[1], leaves[2], view)
    weights = torch.arange(out.numel(), device=out.device).view(out.shape).sin().to(dtype)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), leaves)]


@gpu
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kind", ["causal", "window", "within"])
@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [("flex", torch.float32, 1e-2), ("flex", torch.bfloat16, 4e-2), ("varlen", torch.bfloat16, 4e-2)],
)
def test_kernels_of_a_gpu_give_values_and_gradients_of_sdpa(
    name: str, dtype: torch.dtype, tolerance: float, kind: str, groups: int
) -> None:
    length, rows = 300, 3
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(rows, n, length, 64, generator=generator).cuda() for n in (4, groups, groups)]
    starts = torch.rand(rows, length, generator=generator) < 0.02
    segments = starts.cumsum(1).cuda()
    segments[-1, 250:] = PADDING
    view = {"causal": causal, "window": functools.partial(causal, window=50), "within": within}[kind](segments)
    low = [x.to(dtype) for x in inputs]
    assert choose(low[0], low[1], view).name == ("varlen" if dtype is torch.bfloat16 else "flex")
    expected = _gradients("sdpa", view, inputs, torch.float32)
    for found, wanted in zip(_gradients(name, view, low, dtype), expected, strict=True):
        torch.testing.assert_close(found.float(), wanted, rtol=tolerance, atol=tolerance)


@gpu
@pytest.mark.parametrize("family", MODELS)
def test_packed_is_unpacked_on_a_gpu(family: str) -> None:
    """Heads of 16 and more, as FlexAttention asks for."""
    wide = {
        "decoder": lambda: Decoder(
            DecoderConfig(40, 2, BlockConfig(64, 4, kv_heads=2, window=9), init="gpt2"),
            torch.Generator().manual_seed(0),
        ),
        "encoder": lambda: Encoder(modern(40, 2, 64, 4), torch.Generator().manual_seed(0)),
    }
    model = wide[family]().eval().cuda()
    row = torch.randint(0, 40, (1, sum(LENGTHS)), generator=torch.Generator().manual_seed(1)).cuda()
    segments = torch.repeat_interleave(torch.arange(3), torch.tensor(LENGTHS))[None].cuda()
    alone = torch.cat([logits(model, part) for part in row.split(LENGTHS, dim=1)], dim=1)
    torch.testing.assert_close(logits(model, row, segments), alone, rtol=1e-2, atol=1e-2)
