"""The whole decoder against a plain reference and transformers; packed equals unpacked; sizes counted one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import plain_decoder as reference
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from assay.models.attention import attend, causal
from assay.models.blocks import BlockConfig
from assay.models.decoder import Decoder, DecoderConfig, proxy, standard
from assay.models.protocol import Batch
from assay.tokens.stream import segments_of

CONFIG = proxy(37, layers=3, width=24, heads=3, rotary_base=50.0, max_length=64)


def decoder(tied: bool = False, dtype: torch.dtype = torch.float32, config: DecoderConfig = CONFIG) -> Decoder:
    """A decoder in which every matrix is at work: the zeros of initialisation hide mistakes."""
    model = Decoder(replace(config, tied=tied), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model.to(dtype)


def batch(rows: int = 4, length: int = 20) -> Batch:
    ids = torch.randint(1, CONFIG.vocabulary, (rows, length + 1), generator=torch.Generator().manual_seed(3))
    ids[0, 5] = ids[0, 12] = ids[1, 0] = ids[2, 19] = 0  # documents begin at special tokens
    targets = ids[:, 1:].clone()
    targets[3, 7:] = -1
    segments = torch.from_numpy(segments_of(ids[:, :-1].numpy()))
    return Batch(ids[:, :-1].contiguous(), targets, segments)


@pytest.mark.parametrize("tied", [False, True])
def test_logits_losses_and_gradients_are_those_of_the_plain_reference(tied: bool) -> None:
    data = batch()
    assert data.segments_BT is not None
    model, plain = decoder(tied), decoder(tied, torch.float64)
    loss = model.loss(data)
    loss.mean.backward()
    logits = reference.logits(plain, data.inputs_BT, data.segments_BT)
    expected = functional.cross_entropy(
        logits.flatten(0, 1), data.targets_BT.flatten(), reduction="none", ignore_index=-1
    )
    mean = expected.sum() / (data.targets_BT >= 0).sum()
    mean.backward()
    torch.testing.assert_close(loss.losses_BT.flatten().double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.mean.double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model(data.inputs_BT, data.segments_BT).double(), logits, rtol=1e-4, atol=1e-4)
    theirs = dict(plain.named_parameters())
    assert len(theirs) == (4 * CONFIG.layers) + (1 if tied else 2)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0, name
        torch.testing.assert_close(parameter.grad.double(), theirs[name].grad, rtol=1e-3, atol=1e-5, msg=name)


def test_attention_is_that_of_transformers_qwen3() -> None:
    """Qwen3's attention layer, with its norms' gains at one, on one document: the standard against which others are."""
    from transformers import Qwen3Config
    from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention, Qwen3RotaryEmbedding

    from assay.models import fused

    D, H = CONFIG.width, CONFIG.heads
    config = Qwen3Config(
        hidden_size=D, num_attention_heads=H, num_key_value_heads=H, head_dim=D // H, attention_bias=False,
        rms_norm_eps=1e-6, max_position_embeddings=64, attn_implementation="eager",
        rope_parameters={"rope_type": "default", "rope_theta": CONFIG.rotary_base},
    )  # fmt: skip
    model, theirs = decoder(), Qwen3Attention(config, layer_idx=0).eval()
    w_qkv, w_out = model.blocks[0].attention.qkv.weight, model.blocks[0].attention.out.weight
    with torch.no_grad():
        w_q, w_k, w_v = (w.view(H, D // H, D) for w in w_qkv.chunk(3))
        halves = reference.side_by_side(D // H).argsort()  # our pairs are neighbours, theirs stand half a head apart
        for layer, w in ((theirs.q_proj, w_q[:, halves]), (theirs.k_proj, w_k[:, halves]), (theirs.v_proj, w_v)):
            layer.weight.copy_(w.reshape(D, D))
        theirs.o_proj.weight.copy_(w_out)
        x = torch.randn(2, 11, D, generator=torch.Generator().manual_seed(5))
        mask = torch.full((11, 11), float("-inf")).triu(1)[None, None]
        positions = Qwen3RotaryEmbedding(config)(x, torch.arange(11)[None])
        expected = theirs(fused.rms_norm(x), position_embeddings=positions, attention_mask=mask)[0]
        q, k, v = fused.pre_attention(x, w_qkv, model.rotary.cos, model.rotary.sin, H)
        y = attend(q, k, v, causal(None)).transpose(1, 2).flatten(2)
        torch.testing.assert_close(y @ w_out.t(), expected, rtol=1e-4, atol=1e-5)


def test_packed_documents_are_as_if_each_had_its_own_row() -> None:
    model = decoder()
    generator = torch.Generator().manual_seed(4)
    documents = [torch.randint(1, 37, (n,), generator=generator) for n in (9, 1, 14)]
    packed_ids = torch.cat(documents)[None]
    segments = torch.repeat_interleave(torch.arange(3), torch.tensor([9, 1, 14]))[None]
    targets = torch.randint(0, 37, packed_ids.shape, generator=generator)
    packed = model.loss(Batch(packed_ids, targets, segments)).losses_BT[0]
    alone = torch.cat(
        [
            model.loss(Batch(ids[None], target[None])).losses_BT[0]
            for ids, target in zip(documents, targets[0].split([9, 1, 14]), strict=True)
        ]
    )
    # Rotary positions are relative, so a document's place in its row changes nothing either.
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)


def test_a_document_does_not_feel_what_is_packed_with_it() -> None:
    model, data = decoder(), batch()
    changed = Batch(data.inputs_BT.clone(), data.targets_BT, data.segments_BT)
    changed.inputs_BT[0, :5] = 11  # the first document of row 0 ends before position 5
    before, after = model.loss(data).losses_BT, model.loss(changed).losses_BT
    assert torch.equal(before[0, 5:], after[0, 5:])
    assert torch.equal(before[1:], after[1:])
    assert (before[0, :5] != after[0, :5]).any()


def test_the_future_is_not_seen() -> None:
    model, data = decoder(), batch()
    changed = data.inputs_BT.clone()
    changed[:, 13:] = 7
    before, after = (model.loss(Batch(ids, data.targets_BT)).losses_BT for ids in (data.inputs_BT, changed))
    assert torch.equal(before[:, :13], after[:, :13])


@pytest.mark.parametrize("one_document", [True, False])
def test_the_attention_entry_gives_the_same_whichever_kernel_it_takes(one_document: bool) -> None:
    q, k, v = torch.randn(3, 2, 3, 10, 8, generator=torch.Generator().manual_seed(0))
    segments = torch.zeros(2, 10, dtype=torch.int32)
    if not one_document:
        segments[1, 4:] = 1
    context = causal(segments)
    assert (context.mask is None) is one_document
    torch.testing.assert_close(attend(q, k, v, context), reference.attention(q, k, v, segments))


def products(model: Decoder, length: int) -> Iterator[int]:
    """Multiply-accumulates a token of each matrix product, from the shapes of the weights."""
    yield from (w.shape[0] * w.shape[1] for w in model.blocks.parameters())
    yield model.head.shape[0] * model.head.shape[1]
    # Scores and their sum of values: each of the (length + 1) / 2 positions seen on average (length / 2 is counted).
    yield from (2 * length * model.config.width // 2 for _ in model.blocks)


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_and_flops_are_as_counted_directly(tied: bool) -> None:
    model = decoder(tied)
    inside, total = model.n_parameters()
    assert total == sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
    assert inside == sum(p.numel() for n, p in model.named_parameters() if n.startswith("blocks"))
    assert inside == 12 * CONFIG.layers * CONFIG.width**2
    # 2 FLOPs a multiply-accumulate, forwards once and backwards twice.
    assert model.flops_per_token(40) == 6 * sum(products(model, 40))


def test_flops_are_about_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    plain = decoder(dtype=torch.float64)
    ids, segments = torch.zeros(2, 32, dtype=torch.int64), torch.zeros(2, 32, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        reference.logits(plain, ids, segments).sum().backward()
    own = plain.flops_per_token(32) * ids.numel()
    attention_square = 6.0 * CONFIG.layers * 32 * CONFIG.width * ids.numel()  # the plain one computes all of it
    # The embedding is looked up, so the first layer's input needs its gradient all the same: counts are equal.
    assert counter.get_total_flops() == own + attention_square


def test_every_parameter_has_a_role() -> None:
    for tied in (False, True):
        model = decoder(tied)
        roles = model.roles()
        assert set(roles) == {name for name, _ in model.named_parameters()}
        assert {name for name, role in roles.items() if role == "matrix"} == {
            n for n in roles if n.startswith("blocks")
        }
        assert roles["embedding"] == "embedding"
        assert roles.get("head") == (None if tied else "head")


def test_a_fresh_model_knows_nothing_and_depends_on_its_seed_alone() -> None:
    def fresh(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(99)
        return Decoder(CONFIG, torch.Generator().manual_seed(seed)).state_dict()

    one, same, other = fresh(1), fresh(1), fresh(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    model = Decoder(CONFIG, torch.Generator().manual_seed(1))
    data = batch()
    losses = model.loss(data).losses_BT[data.targets_BT >= 0]
    torch.testing.assert_close(losses, torch.full_like(losses, torch.tensor(37.0).log().item()))


@pytest.mark.parametrize("tied", [False, True])
def test_the_fused_block_is_the_plain_one(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data, found = batch(), []
    for fusable in (True, False):
        monkeypatch.setattr(BlockConfig, "fusable", fusable)
        model = decoder(tied)
        loss = model.loss(data)
        loss.mean.backward()
        found.append([loss.losses_BT, *(p.grad for p in model.parameters())])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-5)
    monkeypatch.undo()
    assert CONFIG.block.fusable
    assert not replace(CONFIG.block, gains=True).fusable
    assert not replace(CONFIG.block, kv_heads=1).fusable


def test_a_window_hides_what_lies_far_back() -> None:
    model, data = decoder(config=replace(CONFIG, layers=1, block=replace(CONFIG.block, window=4))), batch()
    changed = data.inputs_BT.clone()
    changed[:, 8] = 7
    before, after = (model.loss(Batch(ids, data.targets_BT)).losses_BT for ids in (data.inputs_BT, changed))
    assert torch.equal(before[:, :8], after[:, :8])
    assert (before[3, 8:12] != after[3, 8:12]).any() or (before[:, 8:12] != after[:, 8:12]).any()
    assert torch.equal(before[:, 12:], after[:, 12:])


def test_a_softcap_bounds_logits_and_its_gradient_is_autograds() -> None:
    capped = replace(CONFIG, softcap=2.0)
    model, plain = decoder(config=capped), decoder(dtype=torch.float64, config=capped)
    data = batch()
    loss = model.loss(data)
    loss.mean.backward()
    logits = plain(data.inputs_BT, data.segments_BT)
    assert logits.abs().max() < 2
    expected = functional.cross_entropy(logits.flatten(0, 1), data.targets_BT.flatten(), ignore_index=-1)
    expected.backward()
    torch.testing.assert_close(loss.mean.double(), expected, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=1e-3, atol=1e-5)  # type: ignore[union-attr]


def test_sizes_and_flops_of_other_shapes_are_as_counted() -> None:
    for config in (standard(40, 2, 24, 4, 2), replace(standard(40, 2, 24, 4), positions="learned", tied=False)):
        model = Decoder(config, torch.Generator().manual_seed(0))
        inside, total = config.n_parameters()
        assert total == sum(p.numel() for p in model.parameters())
        named = dict(model.named_parameters())
        assert inside == sum(p.numel() for n, p in named.items() if n not in ("embedding", "positions", "head"))
        weights = sum(p.numel() for n, p in named.items() if n.startswith("blocks") and p.dim() == 2)
        assert config.layers * config.block.products() == weights
        roles = model.roles()
        assert {n for n, r in roles.items() if r == "vector"} == {n for n, p in named.items() if p.dim() == 1}
        ids = torch.randint(0, 40, (2, 9))
        model.loss(Batch(ids, ids)).mean.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in named.values())
