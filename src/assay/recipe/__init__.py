"""Typed recipes: what a study or a training is asked to do, from defaults, a YAML file and `--set`."""
