"""`assay export`: a model directory -> other engines' formats, each checked on the spot.

    source          the model with its tokenizer and task, opened
    hugging_face, onnx_files (graphs/), ctranslate, gguf_file     -> the files of a format
    runners/        a directory that was exported, opened again: answers and text, as our own models give them
    parity          what it says against what ours says; measuring (memory, latency, size), judging (scores of both)
    verb            all of it in a staged folder that takes its name at the end; card, told

An export that does not say what the model says is an error, and is not kept.
"""
