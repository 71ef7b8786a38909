"""A model directory that transformers opens, with its head.

    language models   as they are saved here already, in the type that is asked for
    class, labels,    BertForSequenceClassification, or Roberta's: first position, dense layer, tanh, output. What a
    value             task of numbers has learned (mean, deviation) goes into the output layer: numbers come out
    tags              ...ForTokenClassification
    span              ...ForQuestionAnswering
    vector            the bare model, with modules.json of sentence-transformers: pooled, of length 1

`pipeline(...)` of transformers then gives the same answers, since the tokenizer puts around a text what stood around it
in training. What no family has (rows of tags scored as rows, recurrent bodies, fleets' proxies) is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assay.export.quiet import quiet
from assay.export.source import Source, familiar
from assay.models.decoder import Decoder
from assay.models.heads import Headed
from assay.models.interop import CONFIG, WEIGHTS, written
from assay.models.interop.directory import GENERATION, TOKENIZER_CONFIG
from assay.models.interop.files import write_json, write_tensors, write_text
from assay.tasks.coding import Coder
from assay.tasks.regression import Regression
from assay.tokens.tokenizer import TOKENIZER_JSON

BARE = {"bert": "Bert", "roberta": "Roberta", "gpt2": "GPT2", "llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
ROBERTA_PADDING = 1  # id that its positions are not counted at
WHOLE = ("class", "labels", "value")
PROBLEMS = {"class": "single_label_classification", "labels": "multi_label_classification", "value": "regression"}
COPIED = (GENERATION, TOKENIZER_JSON, TOKENIZER_CONFIG, "chat_template.jinja", "source.spm", "target.spm", "vocab.json")


def refusals(source: Source) -> Iterator[str]:
    """Why transformers has nothing of a model's shape."""
    model: Any = source.model
    body = model.body if isinstance(model, Headed) else model
    if familiar(body) is None:
        yield f"Hugging Face has no family of this shape ({source.kind}: {type(body).__name__})"
    if not isinstance(model, Headed):
        return
    head = model.config.head
    bounds = () if source.coder is None else (source.coder.begin, source.coder.end)
    if getattr(model.body.config, "first_position", 0) and ROBERTA_PADDING in bounds:
        yield f"transformers takes id {ROBERTA_PADDING} for RoBERTa's padding, and here it stands around texts"
    if head.crf:
        yield "transformers has no head that scores tags as rows (CRF)"
    if isinstance(model.body, Decoder):
        if head.kind != "tags" or head.dense:
            yield "transformers' decoders have heads of tags alone that this one fits: those of texts have no bias"
    elif head.kind in WHOLE and not (head.dense and head.pool == "first"):
        yield f"transformers' heads read the first position through a dense layer, and this one the {head.pool}"
    elif head.kind not in WHOLE and head.dense:
        yield f"transformers has no dense layer before a head of kind {head.kind}"


def write(source: Source, folder: Path, dtype: str) -> None:
    """Write the files of a model that is not refused."""
    model: Any = source.model
    stated, tensors = _headed(source) if isinstance(model, Headed) else written(familiar(model), native=False)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if name in source.stated:
            stated[name] = source.stated[name]
    for name in COPIED:
        if (source.folder / name).is_file():
            (folder / name).write_bytes((source.folder / name).read_bytes())
    if source.coder is not None and isinstance(model, Headed):
        stated |= _tokenizer(source, source.coder, folder)
    write_tensors(folder / WEIGHTS, {name: tensor.to(getattr(torch, dtype)) for name, tensor in tensors.items()})
    write_json(folder / CONFIG, stated | {"dtype": dtype})
    if isinstance(model, Headed) and model.config.head.kind == "vector":
        _sentence_vectors(source, folder)


def _headed(source: Source) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and tensors of a body with its head."""
    model: Any = source.model
    head = model.config.head
    stated, tensors = written(familiar(model.body), native=False)
    kind = str(stated["model_type"])
    name, base = BARE[kind], {"bert": "bert.", "roberta": "roberta."}.get(kind, "")
    if head.kind == "vector":
        return {**stated, "architectures": [f"{name}Model"]}, tensors
    labels = list(getattr(source.task, "labels", ())) or ["score"]
    stated |= {"num_labels": len(labels), "classifier_dropout": head.dropout}
    stated |= {"id2label": {str(i): label for i, label in enumerate(labels)}}
    stated |= {"label2id": {label: i for i, label in enumerate(labels)}}
    if head.kind == "span":
        stated = {key: value for key, value in stated.items() if key not in ("id2label", "label2id", "num_labels")}
        return {**stated, "architectures": [f"{name}ForQuestionAnswering"]}, tensors | _linear(
            "qa_outputs", model.output
        )
    if head.kind == "tags":
        own = "classifier" if kind in ("bert", "roberta", "gpt2") else "score"
        tensors.pop("lm_head.weight", None)
        return {**stated, "architectures": [f"{name}ForTokenClassification"]}, tensors | _linear(own, model.output)
    stated |= {"problem_type": PROBLEMS[head.kind], "architectures": [f"{name}ForSequenceClassification"]}
    output = _linear("output", model.output)
    if isinstance(source.task, Regression):
        output["output.weight"] = output["output.weight"] * source.task.deviation
        output["output.bias"] = output["output.bias"] * source.task.deviation + source.task.mean
    names = ("classifier.dense", "classifier.out_proj") if kind == "roberta" else (f"{base}pooler.dense", "classifier")
    tensors |= _linear(names[0], model.dense)
    return stated, tensors | {f"{names[1]}.{part}": output[f"output.{part}"] for part in ("weight", "bias")}


def _linear(name: str, layer: Any) -> dict[str, Tensor]:
    return {f"{name}.weight": layer.weight.detach().clone(), f"{name}.bias": layer.bias.detach().clone()}


def _tokenizer(source: Source, coder: Coder, folder: Path) -> dict[str, Any]:
    """The tokenizer, told to put around texts what stood around them in training, and to cut them where they were cut.

    Returns:
        what config.json has to say of it.
    """
    assert source.tokenizer is not None
    content = json.loads(source.tokenizer.content)
    names = {number: name for name, number in source.tokenizer.special.items()}
    begin, end = names.get(coder.begin), names.get(coder.end)
    if begin is not None and end is not None:
        content["post_processor"] = _around(begin, coder.begin, end, coder.end)
    content["truncation"] = content["padding"] = None
    write_text(folder / TOKENIZER_JSON, json.dumps(content, ensure_ascii=False))
    file = source.folder / TOKENIZER_CONFIG
    stated = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    filler = stated.get("pad_token") or end or begin
    stated |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": coder.most, "pad_token": filler}
    stated.setdefault("cls_token", begin)
    stated.setdefault("sep_token", end)
    write_json(folder / TOKENIZER_CONFIG, {key: value for key, value in stated.items() if value is not None})
    number = source.tokenizer.special.get(filler) if isinstance(filler, str) else None
    made_for = source.stated.get("pad_token_id")
    return {} if number is None or made_for is not None else {"pad_token_id": number}


def _around(begin: str, begin_id: int, end: str, end_id: int) -> dict[str, Any]:
    """A post-processor of `tokenizers` that does what `tasks.coding` does."""

    def special(name: str, kind: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": kind}}

    def text(name: str, kind: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": kind}}

    single = [special(begin, 0), text("A", 0), special(end, 0)]
    known = {
        name: {"id": name, "ids": [number], "tokens": [name]} for name, number in ((begin, begin_id), (end, end_id))
    }
    return {
        "type": "TemplateProcessing", "single": single, "pair": [*single, text("B", 1), special(end, 1)],
        "special_tokens": known,
    }  # fmt: skip


def _sentence_vectors(source: Source, folder: Path) -> None:
    """What sentence-transformers opens: the model, its pooling, and vectors of length 1."""
    model: Any = source.model
    pool = {"mean": "mean_tokens", "first": "cls_token", "max": "max_tokens", "last": "lasttoken"}[
        model.config.head.pool
    ]
    kinds = ("cls_token", "mean_tokens", "max_tokens", "lasttoken")
    steps = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(steps)
    ]
    write_text(folder / "modules.json", json.dumps(modules, indent=2) + "\n")
    assert source.coder is not None
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": source.coder.most, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    (folder / "2_Normalize" / ".keep").touch()
    pooling = {"word_embedding_dimension": model.body.config.width}
    write_json(folder / "1_Pooling" / CONFIG, pooling | {f"pooling_mode_{kind}": kind == pool for kind in kinds})


def opened(folder: Path) -> Any:
    """The model of a directory as transformers has it, by the architecture that its config names."""
    with quiet():
        return _opened(folder)


def _opened(folder: Path) -> Any:
    import transformers

    transformers.utils.logging.disable_progress_bar()

    name = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["architectures"][0]
    return getattr(transformers, name).from_pretrained(folder, dtype=torch.float32).eval()


def logits(source: Source, folder: Path) -> Callable[[list[list[int]], list[list[int]] | None], list[Any]]:
    """What transformers says of rows, as `parity` asks it."""
    model = opened(folder)
    model_: Any = source.model
    head = model_.config.head.kind if isinstance(model_, Headed) else None

    @torch.inference_mode()
    def said(rows: list[list[int]], sources: list[list[int]] | None = None) -> list[Any]:
        found = []
        for i, row in enumerate(rows):
            ids = torch.tensor([row])
            if sources is not None:
                given = {"input_ids": torch.tensor([sources[i]]), "decoder_input_ids": ids}
            else:
                given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            out = model(**given)
            if head == "vector":
                states = out.last_hidden_state[0]
                pooled = {"mean": states.mean(0), "first": states[0], "max": states.amax(0), "last": states[-1]}
                found.append(torch.nn.functional.normalize(pooled[model_.config.head.pool], dim=-1).numpy())
            elif head == "span":
                found.append(torch.stack([out.start_logits[0], out.end_logits[0]], dim=1).numpy())
            else:
                found.append(out.logits[0].numpy())
        return found

    return said
