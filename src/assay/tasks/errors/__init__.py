"""What a model of a task gets wrong: pure functions, examples and answers -> where the errors are.

confusion   which label is taken for which; spans missed, spurious, of wrong ends or type
hardest     the examples of the highest loss
slices      scores by length, script, label, source, and which are worse than the rest by more than noise
suspects    labels that are likely wrong themselves, by confident learning over the linear floor
"""
