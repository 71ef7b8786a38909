"""An exported model on a small machine, by numpy, onnxruntime and tokenizers alone.

python edge.py sentiment-int8 "a wonderful film" "一部好电影"    labels, and how likely they are
python edge.py gpt-int8 "Once upon a time"                       what goes on from it
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder = Path(sys.argv[1])
engine = json.loads((folder / "export.json").read_text(encoding="utf-8"))["engine"]
session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
inputs = [one.name for one in session.get_inputs()]


def run(ids, seen, past):
    row = np.array([ids])
    given = {"input_ids": row, "attention_mask": np.ones((1, seen), np.int64), "token_type_ids": 0 * row, **past}
    return session.run(None, {name: given[name] for name in inputs})


def label(ids):
    (logits,) = run([engine["begin"], *ids, engine["end"]], len(ids) + 2, {})[0]
    labels = json.loads((folder / "task.json").read_text(encoding="utf-8"))["options"]["labels"]
    return labels[logits.argmax()], float(1 / np.exp(logits - logits.max()).sum())


def goes_on(ids, new=32):
    names, shape = [name for name in inputs if name.startswith("past")], engine["layout"]
    past = dict.fromkeys(names, np.zeros((1, shape["groups"], 0, shape["key_width"]), np.float32))
    step = written = [engine["begin"], *ids]
    for _ in range(new):
        logits, *present = run(step, len(written), past)
        past, step = dict(zip(names, present, strict=True)), [int(logits[0, -1].argmax())]
        written = written + step
    return tokenizer.decode(written[1:])


for text in sys.argv[2:]:
    found = tokenizer.encode(text, add_special_tokens=False).ids
    print(text, "->", label(found) if engine["kind"] == "headed" else goes_on(found))
