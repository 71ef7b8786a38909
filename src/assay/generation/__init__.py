"""Text -> text: a model directory with its tokenizer, settings, conversations, constraints, streams of text."""
