"""A model as ONNX: graphs with their weights, checked by `onnx.checker`; weights as halves, or as int8 by onnxruntime.

    decoder       model.onnx                  input_ids, attention_mask, past_key_values -> logits, present
    translator    encoder_model.onnx, decoder_model.onnx: the source's keys and values are computed once
    recurrent     model.onnx                  input_ids, attention_mask, state -> logits, left
    headed        model.onnx                  input_ids, attention_mask (token_type_ids) -> logits
    hidden        model.onnx                  the same, of encoders with the head of hidden tokens

Every batch size and every length goes through one graph. `onnx_weights` has what other types of weights take.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from assay.errors import WorkError
from assay.export import onnx_weights as weights
from assay.export.graphs.heads import Answering
from assay.export.graphs.recurrent import Remembering, translations
from assay.export.graphs.transformers import Decoding, Encoding, Reading, Translating
from assay.export.quiet import quiet
from assay.export.source import Source
from assay.models.encoder import Encoder

MODEL, READER, WRITER = "model.onnx", "encoder_model.onnx", "decoder_model.onnx"
OPSET = 18
ONE_FILE = 1 << 30  # bytes of weights that a file holds; ONNX's own bound is 2 GiB, beyond which they lie beside it


@dataclass(frozen=True)
class Graph:
    """A module to be traced.

    Attributes:
        example: its arguments.
        inputs, outputs: names, in the order of the flattened arguments and results.
    """

    file: str
    module: nn.Module
    example: tuple[Any, ...]
    inputs: list[str]
    outputs: list[str]


@dataclass(frozen=True)
class Layout:
    """What a runner has to know of the graphs.

    Attributes:
        layers, groups, key_width: of keys and values.
        state: widths of what a recurrent model leaves, in order.
        kinds: it takes token types.
        crf: it gives transitions of tags.
    """

    files: list[str]
    layers: int = 0
    groups: int = 0
    key_width: int = 0
    state: list[int] = field(default_factory=list)
    kinds: bool = False
    crf: bool = False


B, T, P, S = 2, 5, 3, 7  # of the examples: all different, none 1, which a trace would take for a constant


def write(source: Source, folder: Path, dtype: str, told: Callable[[int, int], None]) -> Layout:
    """Write the graphs of a model.

    Args:
        told: (done, of): how far it is.

    Raises:
        WorkError: the exporter, or the checker of ONNX, refuses a graph.
    """
    graphs, layout = planned(source)
    for i, graph in enumerate(graphs):
        told(i, len(graphs))
        _write(graph, folder / graph.file, dtype)
    told(len(graphs), len(graphs))
    return layout


def planned(source: Source) -> tuple[list[Graph], Layout]:
    """The graphs of a model, and what runs them has to know."""
    model: Any = source.model
    match source.kind:
        case "decoder":
            return _decoder(model)
        case "translator":
            return _translator(model)
        case "recurrent":
            return _recurrent(model)
        case "headed":
            kinds = model.config.tells_types
            crf = model.transitions is not None
            names = ["logits", *(["follows", "begins", "ends"] if crf else [])]
            return [_reader(Answering(model.eval()), kinds, names)], Layout([MODEL], kinds=kinds, crf=crf)
        case _:
            kinds = isinstance(model, Encoder) and model.config.tells_types
            module = Encoding(model) if isinstance(model, Encoder) else _Hidden(model)
            return [_reader(module, kinds, ["logits"])], Layout([MODEL], kinds=kinds)


class _Hidden(Remembering):
    """Of a recurrent model of both ways: logits alone."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:  # type: ignore[override]
        return self.model.logits(self.hidden(input_ids, attention_mask, None)[0])


def _reader(module: nn.Module, kinds: bool, outputs: list[str]) -> Graph:
    ids, mask = torch.zeros(B, T, dtype=torch.int64), torch.ones(B, T, dtype=torch.int64)
    example = (ids, mask, torch.zeros_like(ids)) if kinds else (ids, mask)  # one tensor given twice is one input
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if kinds else [])]
    return Graph(MODEL, module, example, names, outputs)


def _decoder(model: Any) -> tuple[list[Graph], Layout]:
    c = model.config
    past = _pairs(c.layers, c.block.groups, P, c.block.key_width)
    ids, mask = torch.zeros(B, T, dtype=torch.int64), torch.ones(B, P + T, dtype=torch.int64)
    inputs = ["input_ids", "attention_mask", *paired("past_key_values", c.layers)]
    graph = Graph(MODEL, Decoding(model), (ids, mask, past), inputs, ["logits", *paired("present", c.layers)])
    return [graph], Layout([MODEL], c.layers, c.block.groups, c.block.key_width)


def _translator(model: Any) -> tuple[list[Graph], Layout]:
    c, layers = model.config, model.config.layers[1]
    source = _pairs(layers, c.block.groups, S, c.block.key_width)
    past = _pairs(layers, c.block.groups, P, c.block.key_width)
    ids_BS, ids_BT = torch.zeros(B, S, dtype=torch.int64), torch.zeros(B, T, dtype=torch.int64)
    reader = Graph(
        READER, Reading(model), (ids_BS, torch.ones_like(ids_BS)), ["input_ids", "attention_mask"],
        paired("source", layers),
    )  # fmt: skip
    writer = Graph(
        WRITER, Translating(model), (ids_BT, torch.ones_like(ids_BS), source, past),
        ["input_ids", "encoder_attention_mask", *paired("source", layers), *paired("past_key_values", layers)],
        ["logits", *paired("present", layers)],
    )  # fmt: skip
    return [reader, writer], Layout([READER, WRITER], layers, c.block.groups, c.block.key_width)


def _recurrent(model: Any) -> tuple[list[Graph], Layout]:
    ids = torch.zeros(B, T, dtype=torch.int64)
    each = 2 if model.config.cell == "lstm" else 1
    widths = [out for _, out in model.config.sizes() for _ in range(each)]
    state = [[torch.zeros(B, out) for _ in range(each)] for _, out in model.config.sizes()]
    names = [f"state.{i}" for i in range(len(widths))]
    left = [f"left.{i}" for i in range(len(widths))]
    graph = Graph(
        MODEL, Remembering(model), (ids, torch.ones_like(ids), state), ["input_ids", "attention_mask", *names],
        ["logits", *left],
    )  # fmt: skip
    return [graph], Layout([MODEL], state=widths)


def paired(name: str, layers: int) -> list[str]:
    """Names of keys and values."""
    return [f"{name}.{i}.{part}" for i in range(layers) for part in ("key", "value")]


def _pairs(layers: int, groups: int, length: int, width: int) -> list[list[Tensor]]:
    return [[torch.zeros(B, groups, length, width) for _ in range(2)] for _ in range(layers)]


def _dynamic(value: Any) -> Any:
    """Axes that differ from call to call: those of examples whose sizes are B, T, P, S or P + T in their places."""
    if isinstance(value, Tensor):
        dynamic = torch.export.Dim.DYNAMIC
        axes = {4: (0, 2), 2: (0, 1) if value.dtype == torch.int64 else (0,)}[value.dim()]
        return dict.fromkeys(axes, dynamic)
    return [_dynamic(one) for one in value]


def _write(graph: Graph, path: Path, dtype: str) -> None:
    model = _traced(graph)
    large = sum(p.numel() * p.element_size() for p in graph.module.parameters()) > ONE_FILE
    import onnx

    if dtype == "int8":
        weights.turned(model)
        weights.rows_of_whole_numbers(model)
    else:
        weights.tied(model)
    if dtype == "float16":
        weights.halved(model)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".traced-") as place:
        whole = Path(place) / graph.file if dtype == "int8" else path
        onnx.save(model, str(whole), save_as_external_data=large, location=f"{graph.file}.data" if large else None)
        if dtype == "int8":
            weights.quantize(whole, path, external=large)
    try:
        onnx.checker.check_model(str(path), full_check=dtype == "float32")
    except Exception as error:
        raise WorkError(f"ONNX's checker refuses the graph ({str(error)[:200]})", where=path) from error


def _traced(graph: Graph) -> Any:
    """The graph as ONNX's own object, without what the exporter notes of the code that it came from."""
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph.module.eval(), graph.example, dynamo=True, dynamic_shapes=tuple(map(_dynamic, graph.example)),
                input_names=graph.inputs, output_names=graph.outputs, opset_version=OPSET, verbose=False,
                custom_translation_table=translations(),
            )  # fmt: skip
    except Exception as error:  # the exporter raises whatever PyTorch raises
        first = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise WorkError(f"PyTorch does not trace this model ({first[0][:200]})", where=graph.file) from error
    assert program is not None
    model = program.model_proto
    for node in (*model.graph.node, *(n for f in model.functions for n in f.node)):
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.value_info[:], model.graph.metadata_props[:], model.metadata_props[:]
    return model
