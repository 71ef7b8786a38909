"""What is shown of a model is what it does: probabilities, losses, attention, which tokens matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import InputError
from assay.explore import asking, attention, mattering, writing
from assay.explore.catalog import Catalog, Entry
from assay.explore.opened import Models
from assay.explore.spelling import label, stretches
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.models import interop
from assay.models.attention import watched
from assay.models.build import build
from assay.models.convolution import ConvolutionConfig
from assay.models.decoder import DecoderConfig, proxy, standard
from assay.models.heads import HeadConfig, HeadedConfig
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import transformer
from assay.tasks.feed import collated
from assay.tasks.pipeline import Pipeline
from assay.train.predict import Predictor
from labelled import sentences

V = 61


def entry(workspace: Path, name: str) -> Entry:
    return next(one for one in Catalog([workspace]).of("model") if one.name == name)


def random(config: Any, scale: float = 0.25) -> Any:
    """A model whose every parameter is at work."""
    generator = torch.Generator().manual_seed(1)
    model = build(config, torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


# Writing and reading


@pytest.fixture(scope="module")
def writer(workspace: Path) -> Writer:
    return Writer.load(workspace / "gpt")


@pytest.mark.parametrize("text", ["some letters", "道可道，非常道", ""])
def test_each_token_has_the_models_own_probability_and_the_likeliest_others(writer: Writer, text: str) -> None:
    settings = Settings(max_new_tokens=5, temperature=1.5, top_k=20, seed=3)
    told = list(writing.events(writer, text, settings))
    tokens = [token for event in told if event["event"] == "tokens" for token in event["tokens"]]
    ids = list(writer.prompts([text], settings)[0].ids)
    with torch.no_grad():
        for token in tokens:
            likely = writer.model(torch.tensor([ids]))[0, -1].softmax(-1)
            assert token["p"] == pytest.approx(float(likely[token["id"]]), rel=1e-4)
            assert token["rank"] == 1 + int((likely > likely[token["id"]]).sum())
            best = likely.topk(len(token["others"]))
            assert [one["p"] for one in token["others"]] == pytest.approx(best.values.tolist(), rel=1e-4)
            assert [one["id"] for one in token["others"]] == best.indices.tolist()
            ids.append(token["id"])
    assert told[-1]["event"] == "end"
    assert sum(np.log(token["p"]) for token in tokens) == pytest.approx(told[-1]["log_probability"], abs=1e-3)
    assert "".join(event["text"] for event in told if event["event"] == "tokens") == told[-1]["text"]


@pytest.mark.parametrize("name", ["gpt", "gpt-slow"])
def test_losses_of_a_text_are_those_of_assay_eval(workspace: Path, name: str) -> None:
    """In windows that overlap, of which a text of many tokens takes several."""
    own, predictor = Writer.load(workspace / name), Predictor.load(workspace / name / "model")
    for text in ("道可道，非常道。", "letters and numbers, " * 30, "一" * 333, "ab"):
        found = writing.read(own, text)
        expected = predictor.losses([text])
        assert found["tokens"] == expected.tokens[0]
        assert found["nats"] == pytest.approx(expected.nats[0], rel=1e-4)
        assert found["bits_per_byte"] == pytest.approx(expected.nats[0] / np.log(2) / len(text.encode()), rel=1e-4)
        assert "".join(one["text"] for one in found["stretches"]) == text
    with pytest.raises(InputError, match="no token to predict"):
        writing.read(own, "")


def test_no_character_is_cut(writer: Writer) -> None:
    text = "naïve 道可道 🥊\n"
    ids = [int(i) for i in writer.ids([text])[0]]
    assert len(ids) > len(list(stretches(writer.encoder, ids)))  # some take several tokens
    assert "".join(one.text for one in stretches(writer.encoder, ids)) == text
    broken = list(stretches(writer.encoder, ids[:-6]))
    assert [(one.first, one.end) for one in broken] == sorted({(one.first, one.end) for one in broken})
    assert all(label(writer.encoder, i) for i in ids)


# Attention

transformers = pytest.importorskip("transformers")
LLAMA: dict[str, Any] = {"vocab_size": V, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
                         "num_key_value_heads": 2, "intermediate_size": 40, "max_position_embeddings": 64}  # fmt: skip
BERT: dict[str, Any] = {"vocab_size": V, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
                        "intermediate_size": 40, "max_position_embeddings": 64}  # fmt: skip
BART: dict[str, Any] = {"vocab_size": V, "d_model": 24, "encoder_layers": 2, "decoder_layers": 2,
                        "encoder_attention_heads": 3, "decoder_attention_heads": 3, "encoder_ffn_dim": 40,
                        "decoder_ffn_dim": 40, "max_position_embeddings": 64, "decoder_start_token_id": 2,
                        "pad_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": None}  # fmt: skip
T5: dict[str, Any] = {"vocab_size": V, "d_model": 24, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 3,
                      "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2}  # fmt: skip
THEIRS = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=V, n_positions=64, n_embd=24, n_layer=2, n_head=3)
    ),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**LLAMA, head_dim=10)),
    "bert": lambda: transformers.BertForMaskedLM(transformers.BertConfig(**BERT)),
    "bart": lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**BART)),
    "t5": lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(**T5)),
}  # fmt: skip


@pytest.mark.parametrize("family", THEIRS)
def test_attention_is_that_of_transformers(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = THEIRS[family]().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    theirs.save_pretrained(tmp_path)
    theirs.set_attn_implementation("eager")
    ours = interop.load(tmp_path)
    ids, source = torch.randint(3, V, (1, 9)), torch.randint(3, V, (1, 7))
    with torch.no_grad():
        if theirs.config.is_encoder_decoder:
            said = theirs(input_ids=source, decoder_input_ids=ids, output_attentions=True)
            expected = {
                "source": said.encoder_attentions, "self": said.decoder_attentions, "cross": said.cross_attentions,
            }  # fmt: skip
            batch = Batch(ids, ids, source_BS=source)
        else:
            expected = {"self": theirs(ids, output_attentions=True).attentions}
            batch = Batch(ids, ids)
    found = attention.maps(ours, batch)
    assert [(one.side, one.number) for one in found] == [(side, i) for side, own in expected.items() for i in (0, 1)]
    for one in found:
        torch.testing.assert_close(one.weights_HTS, expected[one.side][one.number][0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "config", [proxy(V, 2, 32, 2, max_length=32), standard(V, 2, 24, 4, 2, max_length=32, value_embeddings=True)]
)
def test_a_model_that_is_watched_says_what_it_says(config: DecoderConfig) -> None:
    """Of proxies, whose blocks are written by hand, too; packed documents do not look at each other."""
    model = random(config)
    ids = torch.randint(1, V, (2, 12), generator=torch.Generator().manual_seed(2))
    segments = torch.tensor([[0] * 5 + [1] * 7, [0] * 12])
    with torch.no_grad():
        plain = model(ids, segments)
        with watched() as seen:
            again = model(ids, segments)
    torch.testing.assert_close(again, plain, atol=1e-4, rtol=1e-4)
    assert len(seen) == 2
    for weights in seen:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:3]))
        assert weights.triu(1).abs().max() == 0
        assert weights[0, :, 5:, :5].abs().max() == 0


def test_models_without_attention_are_told(workspace: Path) -> None:
    model = random(RecurrentConfig(V, 1, 16))
    assert not attention.has_maps(model)
    with pytest.raises(InputError, match="no attention"):
        attention.maps(model, Batch(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.long)))


# Which tokens matter


IDS, SPECIAL = [0, 7, 8, 9, 10, 11], {0}


def _labelled(body: Any, head: HeadConfig, label: int) -> mattering.Question:
    batch = Batch(torch.tensor([IDS]), torch.tensor([[-1]]))
    return mattering.label_of(random(HeadedConfig(body, head)), batch, SPECIAL, label)


def _next(config: Any) -> mattering.Question:
    return mattering.next_token(random(config), IDS, SPECIAL, 5)


QUESTIONS: dict[str, Callable[[], mattering.Question]] = {
    "proxy": lambda: _next(proxy(V, 2, 32, 2, max_length=16)),
    "tied": lambda: _next(standard(V, 2, 24, 4, 2, max_length=16)),
    "values": lambda: _next(standard(V, 2, 24, 4, max_length=16, value_embeddings=True)),
    "lstm": lambda: _next(RecurrentConfig(V, 1, 16)),
    "translator": lambda: mattering.translated(
        random(transformer(V, 1, 24, 3, max_length=16)), IDS, [0, 4], SPECIAL, 5
    ),
    "class": lambda: _labelled(standard(V, 1, 24, 3, max_length=16), HeadConfig("class", 3, pool="last"), 1),
    "value": lambda: _labelled(ConvolutionConfig(V, 16), HeadConfig("value", 1, pool="max"), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_integrated_gradients_are_complete(name: str) -> None:
    """Their sum is the difference of both ends (Sundararajan et al. 2017), by what is told to be missing."""
    question = QUESTIONS[name]()
    found = mattering.shares(question, "gradients")
    difference = found.whole - found.without
    assert abs(difference) > 0.01
    assert found.by_unit.sum() == pytest.approx(difference + found.gap, abs=1e-6)
    assert abs(found.gap) <= max(mattering.NEAR, mattering.CLOSE * abs(difference)) + 1e-6
    assert found.by_unit[0] == 0  # it is special


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_text_itself_is_what_the_model_says(name: str) -> None:
    question = QUESTIONS[name]()
    with torch.no_grad():
        plain = float(question.answer(question.model, question.ids_T[None], question.also_N))
    for method in ("occlusion", "gradients"):
        assert mattering.shares(question, method).whole == pytest.approx(plain, abs=1e-4)


def test_occlusion_is_the_answer_without_the_token() -> None:
    """Against a model in whose table an id that the text lacks is the average token."""
    config = proxy(V, 2, 32, 2, max_length=16)  # its output matrix is another one
    ids, model = [0, 7, 8, 9, 10], random(config)
    found = mattering.shares(mattering.next_token(model, ids, {0}, 5), "occlusion")
    other = random(config)
    with torch.no_grad():
        other.embedding[60] = model.embedding.mean(0)
        plain = model(torch.tensor([ids]))[0, -1].log_softmax(-1)[5]
        for place in range(1, len(ids)):
            without = other(torch.tensor([[*ids[:place], 60, *ids[place + 1 :]]]))[0, -1].log_softmax(-1)[5]
            assert found.by_unit[place] == pytest.approx(float(plain - without), abs=1e-4)


def test_tokens_of_one_character_are_weighed_together() -> None:
    model, ids = random(proxy(V, 2, 32, 2, max_length=16)), [0, 7, 8, 9, 10]
    each = mattering.shares(mattering.next_token(model, ids, {0}, 5), "gradients")
    units = [(0, 1), (1, 3), (3, 4), (4, 5)]
    together = mattering.shares(mattering.next_token(model, ids, {0}, 5, units), "gradients")
    assert together.by_unit == pytest.approx([0, each.by_unit[1:3].sum(), *each.by_unit[3:]], abs=1e-6)
    assert len(mattering.shares(mattering.next_token(model, ids, {0}, 5, units), "occlusion").by_unit) == 4


def test_a_model_is_left_as_it_was() -> None:
    model = random(standard(V, 1, 24, 3, max_length=16)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for method in ("occlusion", "gradients"):
        mattering.shares(mattering.next_token(model, [0, 1, 2], {0}, 5), method)
    attention.maps(model, Batch(torch.tensor([[1, 2]]), torch.tensor([[1, 2]])))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


# Models of a folder


def test_a_model_of_a_task_answers_and_says_why(workspace: Path) -> None:
    with Models().task(entry(workspace, "sentiment")) as opened:
        told = asking.about(opened)
        assert (told["fields"], told["matters"], told["attention"]) == (["text"], True, True)
        text = "good fine film"
        answered = asking.answer(opened, {"text": text})["answer"]
        found = asking.matter(opened, "", {"text": text}, "", "gradients", None, None)
        assert found["answer"]["label"] == answered["label"]
        chances = {one["label"]: one["p"] for one in found["others"]}
        assert chances == pytest.approx(answered["probabilities"], abs=1e-5)
        assert found["whole"] == pytest.approx(np.log(answered["probabilities"][answered["label"]]), abs=1e-4)
        assert len(found["tokens"]) == len(found["shares"]) == len(found["fixed"])
        looked = asking.attention(opened, "", {"text": text}, "", 0)
        assert looked["weights"].shape[1:] == (len(looked["queries"]), len(looked["keys"]))
        with pytest.raises(InputError, match="is empty"):
            asking.answer(opened, {"text": " "})
        with pytest.raises(InputError, match="2 labels"):
            asking.matter(opened, "", {"text": text}, "", "gradients", None, 7)


def test_spans_are_those_of_the_text(workspace: Path) -> None:
    found, wanted = 0, 0
    with Models().task(entry(workspace, "names")) as opened:
        for sentence in sentences(20, seed=5):
            said = asking.answer(opened, {"tokens": sentence["tokens"]})
            units = next(value for value in said["given"].values() if isinstance(value, list | tuple))
            assert list(units) == sentence["tokens"]
            own = {(span["begin"], span["end"]) for span in said["answer"]["spans"]}
            right = {i for i, tag in enumerate(sentence["tags"]) if tag != "O"}
            found += len(right & {i for begin, end in own for i in range(begin, end)})
            wanted += len(right)
        with pytest.raises(InputError, match="many answers"):
            asking.matter(opened, "", {"text": "王小明"}, "", "occlusion", None, None)
    assert found / wanted > 0.8


def test_a_language_model_is_asked_about_its_prompt(workspace: Path) -> None:
    with Models().writer(entry(workspace, "gpt")) as opened:
        found = asking.matter(opened, "道可道", {}, "", "gradients", None, None)
        assert found["tokens"] == ["<|endoftext|>", "道", "可", "道"]
        assert found["fixed"] == [True, False, False, False]
        assert found["answer"]["id"] == found["others"][0]["id"]
        other = asking.matter(opened, "道可道", {}, "", "gradients", 9, None)
        assert other["answer"]["id"] == 9
        assert other["whole"] < found["whole"]
        for wrong in ({"token": 10**6}, {"text": "a " * 4000}):
            with pytest.raises(InputError):
                asking.matter(opened, **{"text": "a", "given": {}, "target": "", "method": "occlusion", "token": None,
                                         "chosen": None, **wrong})  # fmt: skip
        with pytest.raises(InputError, match="layers"):
            asking.attention(opened, "a", {}, "", 99)


def test_models_stay_open_and_the_oldest_is_put_away(workspace: Path) -> None:
    models = Models()
    with models.writer(entry(workspace, "gpt")) as first, models.writer(entry(workspace, "gpt")) as again:
        assert first is again
    with models.task(entry(workspace, "sentiment")), models.task(entry(workspace, "names")):
        pass
    with models.writer(entry(workspace, "gpt")) as later:
        assert later is not first
    with pytest.raises(InputError, match="writes none"), models.writer(entry(workspace, "names")):
        pass


def test_a_row_of_a_task_is_read_as_the_pipeline_reads_it(workspace: Path) -> None:
    """Attention and reasons are of the very ids that the answer rests on."""
    with Models().task(entry(workspace, "sentiment")) as opened:
        examples = Pipeline(opened).examples(["bad 电影"])
        (item,) = opened.task.items(examples, opened.coder)  # type: ignore[attr-defined]
        _, batch = asking._read(opened, "", {"text": "bad 电影"}, "")
        assert batch.inputs_BT.tolist() == collated([item]).inputs_BT.tolist()
