"""`assay train`: from a recipe to a model directory. At the front door, because it calls every room that it needs.

neural       corpus -> tokenizer -> streams, evaluation sets -> run -> model directory
estimators   corpus -> n-gram model or word vectors, which have `fit`
"""
