"""The linear floor: what a model without any neural network makes of the same rows, reported beside every result."""
