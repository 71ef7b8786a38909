"""The weights of an ONNX graph, as they are stored.

tied                    an output matrix that is the embedding is stored once
halved                  float16, behind casts; what is computed stays float32
rows_of_whole_numbers   tables of embeddings as int8 with a scale a row
quantize                weights of products as int8 with a scale a column, activations with a scale that is found at
                        run time (onnxruntime's dynamic quantization)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from assay.export.quiet import quiet

QUANTIZED = ("MatMul", "Gemm", "LSTM")


def tied(model: Any) -> None:
    """A matrix that is another one transposed (the output matrix of tied models, which the exporter folds into one of
    its own) becomes that again, so that the file holds the numbers once."""
    from onnx import helper, numpy_helper

    tables = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer if len(one.dims) == 2}
    for name, values in tables.items():
        twins = (other for other, found in tables.items() if other != name and found.shape == values.shape[::-1])
        source = next((other for other in twins if _reads(model, "Gather", other)), None)
        if source is not None and np.array_equal(values, tables[source].T):
            kept = [one for one in model.graph.initializer if one.name != name]
            del model.graph.initializer[:]
            model.graph.initializer.extend(kept)
            model.graph.node.insert(0, helper.make_node("Transpose", [source], [name], perm=[1, 0]))


def _reads(model: Any, kind: str, name: str) -> list[Any]:
    """Nodes of a kind whose first input this is."""
    return [node for node in model.graph.node if node.op_type == kind and node.input[0] == name]


def turned(model: Any) -> None:
    """A transposed matrix that a graph makes anew at each call is stored as such: so it can be quantized."""
    from onnx import numpy_helper

    tables = {one.name: one for one in model.graph.initializer if len(one.dims) == 2}
    for node in [one for one in model.graph.node if one.op_type == "Transpose" and one.input[0] in tables]:
        values = np.ascontiguousarray(numpy_helper.to_array(tables[node.input[0]]).T)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        model.graph.node.remove(node)


def rows_of_whole_numbers(model: Any) -> None:
    """Tables of embeddings as int8 with a scale a row: what is looked up is the row times its scale. (onnxruntime has
    one scale for a whole table, which is set by its largest number.)"""
    from onnx import TensorProto, helper, numpy_helper

    for table in list(model.graph.initializer):
        readers = _reads(model, "Gather", table.name)
        if len(table.dims) != 2 or table.data_type != TensorProto.FLOAT or not readers:
            continue
        if any(table.name in node.input for node in model.graph.node if node not in readers):
            continue
        values = numpy_helper.to_array(table)
        scale_V1 = np.maximum(np.abs(values).max(1, keepdims=True), 1e-12) / 127
        whole = numpy_helper.from_array(np.rint(values / scale_V1).astype(np.int8), f"{table.name}.rows")
        scales = numpy_helper.from_array(scale_V1.astype(np.float32), f"{table.name}.scales")
        model.graph.initializer.remove(table)
        model.graph.initializer.extend([whole, scales])
        for node in readers:
            ids, out = node.input[1], node.output[0]
            place = list(model.graph.node).index(node)
            model.graph.node.remove(node)
            made = [
                helper.make_node("Gather", [whole.name, ids], [f"{out}.rows"], axis=0),
                helper.make_node("Gather", [scales.name, ids], [f"{out}.scales"], axis=0),
                helper.make_node("Cast", [f"{out}.rows"], [f"{out}.cast"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{out}.cast", f"{out}.scales"], [out]),
            ]
            for i, one in enumerate(made):
                model.graph.node.insert(place + i, one)


def halved(model: Any) -> None:
    """Weights as float16, each behind a cast: half the file. What is computed stays float32, since onnxruntime has no
    products of halves on a processor and would put casts around each of them."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 0:
            name = f"{tensor.name}.half"
            casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def quantize(whole: Path, path: Path, *, external: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            whole, path, op_types_to_quantize=list(QUANTIZED), per_channel=True, weight_type=QuantType.QInt8,
            use_external_data_format=external, extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1},
        )  # fmt: skip
