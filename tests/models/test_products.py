"""Matrix products against float64, by each of the libraries; which library a machine gets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from assay.models import products

BOTH = pytest.mark.parametrize("onednn", [False, True], ids=["PyTorch's choice", "oneDNN"])


@pytest.fixture
def library(onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if onednn and not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        pytest.skip("this build of PyTorch has no oneDNN")
    monkeypatch.setattr(products, "prefers_onednn", lambda: onednn)


def assert_close(mine: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(mine.double(), expected, rtol=1e-5, atol=1e-5)


@BOTH
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("n", "i", "o"), [(50, 24, 40), (50, 40, 24), (7, 3, 300), (1, 1, 1)])
@pytest.mark.parametrize("turned", [False, True], ids=["contiguous", "strided"])
def test_products_are_those_of_float64(n: int, i: int, o: int, turned: bool) -> None:
    generator = torch.Generator().manual_seed(0)

    def matrix(rows: int, columns: int) -> Tensor:
        shape = (columns, rows) if turned else (rows, columns)
        drawn = torch.randn(shape, generator=generator)
        return drawn.t() if turned else drawn

    x, w, g = matrix(n, i), matrix(o, i), matrix(n, o)
    plus_NO, plus_OI = matrix(n, o), matrix(o, i)
    before = [tensor.clone() for tensor in (x, w, g, plus_NO)]
    X, W, G = x.double(), w.double(), g.double()
    assert_close(products.linear(x, w), X @ W.t())
    assert_close(products.linear(x, w, times=0.3), 0.3 * (X @ W.t()))
    assert_close(products.linear(x, w, plus_NO), X @ W.t() + plus_NO.double())
    assert_close(products.input_gradient(g, w), G @ W)
    assert_close(products.weight_gradient(g, x), G.t() @ X)
    once = products.weight_gradient(g, x, plus_OI.clone())
    assert_close(once, G.t() @ X + plus_OI.double())
    assert_close(products.weight_gradient(g, x, once), 2 * (G.t() @ X) + plus_OI.double())
    assert all(torch.equal(a, b) for a, b in zip((x, w, g, plus_NO), before, strict=True))


@pytest.mark.parametrize(
    ("maker", "capability", "wanted"),
    [
        ("vendor_id\t: AuthenticAMD", "AVX512", True),
        ("vendor_id\t: AuthenticAMD", "AVX512_VNNI", True),
        ("vendor_id\t: AuthenticAMD", "AVX2", False),
        ("vendor_id\t: GenuineIntel", "AVX512", False),
    ],
)
def test_the_library_follows_from_the_machine(
    maker: str, capability: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_maker", lambda: maker)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert products.prefers_onednn.__wrapped__() is wanted


def test_other_types_are_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "prefers_onednn", lambda: True)
    monkeypatch.setattr(products, "_onednn", lambda *_: pytest.fail("oneDNN was asked"))
    for dtype in (torch.float64, torch.bfloat16):
        x, w, g = (torch.ones(shape, dtype=dtype) for shape in ((4, 2), (3, 2), (4, 3)))
        assert products.linear(x, w).unique().tolist() == [2]
        assert products.input_gradient(g, w).unique().tolist() == [3]
        assert products.weight_gradient(g, x).unique().tolist() == [4]
