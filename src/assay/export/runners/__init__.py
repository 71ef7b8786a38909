"""Exported directories, opened again.

engine       ONNX by numpy and onnxruntime alone: logits, keys and values, the likeliest row of tags. It imports
             nothing else, neither torch nor another room: what runs on a small machine is this file
stepping     an engine as what `inference` asks of a model: sampling, beams, likelihoods
ctranslate   CTranslate2's own generator and translator
answering    a directory as `tasks.opened` has one: examples -> answers
"""
