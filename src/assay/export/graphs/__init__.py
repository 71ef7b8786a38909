"""Models as plain functions of tensors, for `torch.onnx.export`: what was remembered comes in and goes out by name.

    transformers    decoders, encoders, encoder-decoders: keys and values in, keys and values out
    recurrent       layers as ONNX's own LSTM, GRU and RNN, whose rows end where their tokens do; TextCNN
    heads           a head on either

They hold the models' own layers and put them together anew: no list of memories, no choice of a backend, no question
that a tensor's content decides, since a graph knows shapes by name alone. Names are those of Hugging Face's `optimum`,
as far as it has any: input_ids, attention_mask, past_key_values.0.key, present.0.key, logits.
"""
