"""Downstream tasks: supervised data sets read, models fine-tuned on them, each beside a linear floor."""
