"""`assay labels`: what labelled data does to a task's model.

request     what was asked
planting    training rows -> nested subsets, wrong labels, a class that is rarer, altered copies
plan        cells and seeds -> runs of `finetune`, written down before the first one
running     the runs, one after another; the largest size is predicted before it is trained
answered    answers of runs -> scores on the same draws of items and seeds
curve       error by examples: a law, examples for a target, equivalent clean examples
slicing     the score of every slice at every size: which one to label next
results     all numbers
statements  what came out, as claims
verb        all of it -> results.json, claims.json, labels.html
told        what a terminal says
"""
