"""Heads on bodies: against transformers' models of the same weights, and what holds for every head and body."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from assay.models.attention import PADDING
from assay.models.build import build
from assay.models.convolution import ConvolutionConfig
from assay.models.decoder import proxy
from assay.models.encoder import bert
from assay.models.heads import BodyConfig, HeadConfig, Headed, HeadedConfig
from assay.models.interop import load, save
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig

V, D, T = 60, 32, 9
BODIES: dict[str, BodyConfig] = {
    "encoder": bert(V, 2, D, 2, head=False),
    "decoder": proxy(V, 2, D, 2),
    "lstm": RecurrentConfig(V, 1, D),
    "bilstm": RecurrentConfig(V, 1, D, both_ways=True),
    "convolution": ConvolutionConfig(V, D, 8),
}
HEADS = {
    "class": HeadConfig("class", 3),
    "labels": HeadConfig("labels", 3),
    "value": HeadConfig("value", 2),
    "tags": HeadConfig("tags", 3),
    "crf": HeadConfig("tags", 3, crf=True),
    "span": HeadConfig("span", 2),
    "vector": HeadConfig("vector", 1, pool="mean"),
}
LENGTHS = (9, 5, 7, 2)


def _batch(kind: str, lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)
    B, longest = len(lengths), max(lengths)
    inside = torch.arange(longest) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, V, (B, T), generator=g)[:, :longest] * inside
    segments = None if bool(inside.all()) else torch.where(inside, 0, PADDING)
    every = torch.randint(0, 3, (B, T), generator=g)[:, :longest]
    numbers = torch.randn(B, 2, generator=g)
    made = Batch(ids, torch.zeros(B, 1, dtype=torch.int64), segments)
    match kind:
        case "class":
            return replace(made, targets_BT=every[:, :1])
        case "labels":
            return replace(made, targets_BT=torch.randint(0, 2, (B, 3), generator=g))
        case "value":
            return replace(made, targets_BT=torch.zeros(B, 2, dtype=torch.int64), values_BN=numbers)
        case "tags" | "crf":
            return replace(made, targets_BT=torch.where(inside, every, -1), marks_BT=inside)
        case "span":
            return replace(made, targets_BT=torch.tensor([[0, 1]] * B), marks_BT=inside)
    return made


def _model(body: str, head: str, **more: object) -> Headed:
    made = build(HeadedConfig(BODIES[body], replace(HEADS[head], **more)), torch.Generator().manual_seed(1))
    assert isinstance(made, Headed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():  # nothing is zero, so everything is seen
            if parameter.dim() == 2 and bool((parameter == 0).all()):
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(len(name)))
    return made.eval()


def _alone(batch: Batch, i: int, n: int) -> Batch:
    """Row i without what fills it."""
    wide = batch.targets_BT.shape[1] == batch.inputs_BT.shape[1]
    return Batch(
        batch.inputs_BT[i : i + 1, :n], batch.targets_BT[i : i + 1, : n if wide else None],
        marks_BT=None if batch.marks_BT is None else batch.marks_BT[i : i + 1, :n],
        values_BN=None if batch.values_BN is None else batch.values_BN[i : i + 1],
    )  # fmt: skip


@pytest.mark.parametrize("head", [name for name in HEADS if name != "vector"])
@pytest.mark.parametrize("body", BODIES)
def test_a_row_is_answered_alike_alone_and_filled_up(body: str, head: str) -> None:
    """And its loss is."""
    pools = ("last", "mean", "max") if body in ("decoder", "lstm") else ("first", "mean", "max")
    for pool in pools:
        model, batch = _model(body, head, pool=pool), _batch(head)
        with torch.no_grad():
            found, losses = model(batch), model.loss(batch).losses_BT
            for i, n in enumerate(LENGTHS):
                own = _alone(batch, i, n)
                alone, loss = model(own), model.loss(own).losses_BT
                mine = found[i, :n] if found.dim() == 3 else found[i]
                assert torch.allclose(mine, alone[0], atol=1e-5), (pool, i)
                assert torch.allclose(losses[i].sum(), loss.sum(), atol=1e-4), (pool, i)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("body", BODIES)
def test_every_part_that_is_trained_gets_a_gradient_and_saved_models_come_back(
    body: str, head: str, tmp_path: Path
) -> None:
    model, batch = _model(body, head, pool="mean"), _batch(head)
    loss = model.loss(batch)
    assert loss.losses_BT.shape == batch.targets_BT.shape
    loss.mean.backward()
    for name, parameter in model.named_parameters():
        read = parameter.grad is not None and bool((parameter.grad != 0).any())
        biased = name.endswith("bias") or "gate" in name  # the gradient of some is zero: a bias before a softmax
        assert read == parameter.requires_grad or (biased and parameter.requires_grad), name
    assert model.roles().keys() == dict(model.named_parameters()).keys()
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config == model.config
    with torch.no_grad():
        assert torch.equal(again(batch), model(batch))


def _plain(scores_BL: Tensor, targets: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(scores_BL, targets)


def test_losses_are_those_of_the_plain_functions() -> None:
    model, batch = _model("encoder", "class"), _batch("class")
    assert torch.allclose(model.loss(batch).mean, _plain(model(batch), batch.targets_BT[:, 0]))
    weighted = _model("encoder", "class", weights=(1.0, 2.0, 0.5))
    weights = torch.tensor([1.0, 2.0, 0.5])
    wanted = torch.nn.functional.cross_entropy(weighted(batch), batch.targets_BT[:, 0], weights)
    assert torch.allclose(weighted.loss(batch).mean, wanted)
    model, batch = _model("encoder", "labels"), _batch("labels")
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(model(batch), batch.targets_BT.float())
    assert torch.allclose(model.loss(batch).mean, wanted)
    model, batch = _model("encoder", "value"), _batch("value")
    assert batch.values_BN is not None
    assert torch.allclose(model.loss(batch).mean, torch.nn.functional.mse_loss(model(batch), batch.values_BN))


def test_vectors_of_partners_are_told_from_all_others() -> None:
    model, batch = _model("encoder", "vector"), _batch("vector")
    vectors = model(batch)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)))
    cosines = (vectors @ vectors.t()).detach() / 0.05
    wanted = []
    for i in range(len(vectors)):
        others = [j for j in range(len(vectors)) if j != i]
        wanted.append(cosines[i, others].logsumexp(0) - cosines[i, i ^ 1])
    assert torch.allclose(model.loss(batch).mean, torch.stack(wanted).mean(), atol=1e-5)


def test_a_span_begins_and_ends_where_it_may_alone() -> None:
    model, batch = _model("encoder", "span"), _batch("span")
    assert batch.marks_BT is not None
    likely = model(batch).softmax(dim=1)
    assert bool((likely[~batch.marks_BT] == 0).all())


def test_tags_are_those_of_each_position_or_of_the_best_row() -> None:
    for head in ("tags", "crf"):
        model, batch = _model("bilstm", head), _batch(head)
        found = model(batch)
        tags, likely, inside = model.tags_of(found, batch)
        assert bool(((likely[inside] > 0) & (likely[inside] <= 1 + 1e-6)).all())
        assert inside.sum(1).tolist() == list(LENGTHS)
        if head == "tags":
            assert torch.equal(tags[inside], found[batch.targets_BT >= 0].argmax(1))


@pytest.mark.parametrize(
    ("theirs", "head"),
    [("BertForSequenceClassification", "class"), ("BertForTokenClassification", "tags"),
     ("BertForQuestionAnswering", "span")],
)  # fmt: skip
def test_logits_are_those_of_transformers(theirs: str, head: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=V, hidden_size=D, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=16, num_labels=3 if head != "span" else 2,
    )  # fmt: skip
    torch.manual_seed(0)
    reference = getattr(transformers, theirs)(config).eval()
    base = transformers.BertModel(config, add_pooling_layer=head == "class")
    base.load_state_dict(reference.bert.state_dict())
    base.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    body = replace(loaded.config, head=False, pooler=False)
    dense = head == "class"  # BERT's pooler is a dense layer with tanh on the first state
    own = HeadConfig("span" if head == "span" else head, 2 if head == "span" else 3, dense=dense)  # type: ignore[arg-type]
    model = build(HeadedConfig(body, own), None)
    assert isinstance(model, Headed)
    given = dict(loaded.named_parameters())
    last = reference.qa_outputs if head == "span" else reference.classifier
    with torch.no_grad():
        for name, parameter in model.body.named_parameters():
            parameter.copy_(given[name])
        assert model.output is not None
        model.output.weight.copy_(last.weight)
        model.output.bias.copy_(last.bias)
        if model.dense is not None:
            model.dense.weight.copy_(reference.bert.pooler.dense.weight)
            model.dense.bias.copy_(reference.bert.pooler.dense.bias)
    batch = _batch(head)
    batch = replace(batch, marks_BT=None)
    model.eval()
    assert batch.segments_BT is not None
    mask = (batch.segments_BT != PADDING).long()
    with torch.no_grad():
        found = reference(input_ids=batch.inputs_BT, attention_mask=mask)
        wanted = torch.stack([found.start_logits, found.end_logits], 2) if head == "span" else found.logits
        mine = model(batch)
    inside = mask.bool() if mine.dim() == 3 else slice(None)
    assert torch.allclose(mine[inside], wanted[inside], atol=1e-5)


def test_heads_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="crf"):
        HeadConfig("class", 2, crf=True)
    with pytest.raises(ValueError, match="weights"):
        HeadConfig("class", 2, weights=(1.0,))


def test_preferences_are_those_of_the_formula() -> None:
    """Log-probabilities are those that the body's own loss has."""
    model = build(
        HeadedConfig(BODIES["decoder"], HeadConfig("preference", 1, beta=0.3)), torch.Generator().manual_seed(1)
    )
    assert isinstance(model, Headed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)) * 0.1)
    model.eval()
    g = torch.Generator().manual_seed(0)
    ids = torch.randint(1, V, (4, T), generator=g)
    marks = torch.zeros(4, T, dtype=torch.bool)
    for row, begin in enumerate((3, 5, 2, 6)):
        marks[row, begin:] = True
    reference = torch.randn(4, 1, generator=g)
    batch = Batch(ids, torch.zeros(4, 1, dtype=torch.int64), marks_BT=marks, values_BN=reference)
    targets = torch.where(marks[:, 1:], ids[:, 1:], -1)
    own = -model.body.loss(Batch(ids[:, :-1], targets)).losses_BT.sum(1, keepdim=True)  # type: ignore[union-attr, operator]
    found = model(batch)
    assert torch.allclose(found, own - reference, atol=1e-4)
    better, worse = (own - reference)[::2], (own - reference)[1::2]
    assert torch.allclose(model.loss(batch).mean, -torch.sigmoid(0.3 * (better - worse)).log().mean(), atol=1e-5)
    model.loss(batch).mean.backward()
    assert all(p.grad is not None for p in model.parameters())
