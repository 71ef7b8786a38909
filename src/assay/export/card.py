"""The card of an export: what it is and of what, what it was trained on, how good it is, what the format costs, how it
is opened, what it is for and what it is not; in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay import __version__
from assay.export import told
from assay.present.numbers import compact, duration, energy, estimate
from assay.present.words import LANGUAGES, say

FORMATS = {"hf": "Hugging Face transformers", "onnx": "ONNX", "ctranslate2": "CTranslate2", "gguf": "GGUF (llama.cpp)"}


def written(answer: Mapping[str, Any], title: str) -> str:
    """The content of README.md."""
    parts = [_front_matter(answer), f"# {title}"]
    for language in LANGUAGES:
        parts += [
            say(
                "export.card.about", language, format=FORMATS[answer["target"]], dtype=answer["dtype"],
                parameters=compact(answer["parameters"]), kind=say(f"export.kind.{answer['kind']}", language),
                task=answer["task"] or say("export.card.no_task", language), version=__version__,
            ),
            f"## {say('export.card.figures', language)}", markdown(*told.figures(answer, language)),
            *_notes(answer, language), *_scores(answer, language), *_training(answer, language),
            f"## {say('export.card.licence', language)}",
            answer["licence"] or say("export.card.no_licence", language),
            f"## {say('export.card.use', language)}",
            say(f"export.use.{'task' if answer['task'] else answer['kind']}", language, task=answer["task"] or ""),
            f"```python\n{code(answer)}\n```",
            f"## {say('export.card.limits', language)}", say("export.card.limits_text", language),
        ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _front_matter(answer: Mapping[str, Any]) -> str:
    """What model hubs read."""
    lines = [f"library_name: {({'hf': 'transformers', 'gguf': 'gguf'}).get(answer['target'], answer['target'])}"]
    if answer["licence"]:
        lines.append(f"license: {answer['licence']}")
    return "\n".join(["---", *lines, f"tags: [assay, {answer['kind']}]", "---"])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def _notes(answer: Mapping[str, Any], language: str) -> list[str]:
    found = [f"- {say(f'export.note.{name}', language)}" for name in answer["notes"]]
    return ["\n".join(found)] if found else []


def _scores(answer: Mapping[str, Any], language: str) -> list[str]:
    if answer["scores"] is None:
        return []
    n = answer["scores"]["n"]
    return [f"## {say('export.card.scores', language, n=n)}", markdown(*told.scores(answer, language))]


def _training(answer: Mapping[str, Any], language: str) -> list[str]:
    """Data, scores and energy of the training."""
    title = f"## {say('export.card.training', language)}"
    facts = answer["training"]
    if facts is None:
        return [title, say("export.card.no_training", language)]
    prints = ", ".join(f"{name} `{value}`" for name, value in facts["fingerprints"].items())
    lines = [
        say(
            "export.card.data",
            language,
            sources=", ".join(f"`{one}`" for one in facts["sources"]) or "–",
            prints=prints,
        )
    ]
    if facts.get("joules") is not None:
        key = "export.card.energy" if facts["measured"] else "export.card.energy_estimated"
        lines.append(say(key, language, energy=energy(facts["joules"]), time=duration(facts["seconds"], language)))
    if facts.get("emissions_kg") is not None:
        lines.append(say("export.card.emissions", language, kg=f"{facts['emissions_kg']:.3g}"))
    rows = [
        [say(f"export.part.{part}", language), str(found["n"]), name, " ".join(estimate(one["value"], one["interval"]))
         if one["interval"] else f"{one['value']:.4g}"]
        for part, found in facts["evaluations"].items() for name, one in found["metrics"].items()
    ]  # fmt: skip
    head = [say(f"tuned.{key}", language) for key in ("part", "n", "metric", "value")]
    return [title, "\n".join(lines), *([markdown(head, rows)] if rows else [])]


def code(answer: Mapping[str, Any]) -> str:
    """How the export is opened."""
    task, kind = answer["task"], answer["kind"]
    if answer["target"] == "hf":
        return (
            "import transformers\n\n"
            'folder = "path/to/this/folder"\n'
            "tokenizer = transformers.AutoTokenizer.from_pretrained(folder)\n"
            f"model = transformers.{_auto(answer)}.from_pretrained(folder)"
        )
    if answer["target"] == "gguf":
        return 'import llama_cpp\n\nmodel = llama_cpp.Llama("model.gguf")\nprint(model("...", max_tokens=32))'
    opened = 'from assay.export.runners.answering import Exported\n\nmodel = Exported.load("path/to/this/folder")\n'
    if task is not None:
        return (
            f'from assay.tasks.pipeline import Pipeline\n{opened}ask = Pipeline(model)  # {task}\nprint(ask(["..."]))'
        )
    if kind == "hidden":
        return f"{opened}print(model.engine.said([[1, 2, 3]]))  # logits of the tokens that may stand there"
    if answer["target"] == "ctranslate2":
        return f"{opened}print(model.engine.written([[1, 2, 3]], new=32))  # token ids in, token ids out"
    return (
        f"from assay.inference.generate import generate\n{opened}"
        "print(generate(model.writer, [[1, 2, 3]]))  # token ids in, token ids out"
    )


def _auto(answer: Mapping[str, Any]) -> str:
    heads = {
        "classification": "SequenceClassification", "relation": "SequenceClassification",
        "multilabel": "SequenceClassification", "regression": "SequenceClassification",
        "tagging": "TokenClassification", "extraction": "QuestionAnswering",
    }  # fmt: skip
    if answer["kind"] == "headed":
        head = heads.get(answer["task"])
        return f"AutoModelFor{head}" if head else "AutoModel"
    return {"decoder": "AutoModelForCausalLM", "translator": "AutoModelForSeq2SeqLM"}.get(
        answer["kind"], "AutoModelForMaskedLM"
    )
