"""The main job: a corpus goes in, claims come out. This is the way of the data through the house.

corpus      sources -> documents, signals, duplicates, splits, profile
shape       probe of this machine, or --tokens -> proxy, tokens that the budget buys
tokenizer   balanced sample -> byte-level BPE
plan        cells, seeds, run sizes; stored: a rerun uses the stored one               (up to here: preparing)
tokens      training pool, damaged copies, evaluation sets                             (streams)
fleet       trunks and fitted cells -> ledger                                          (passes, up to second)
predictions fitted on eval text, written down, then tested by held-out runs on test text
second      more seeds of the recipes between which the first pass leaves doubt, where a share was kept back
claims      differences, doses, law, mixtures -> claims.json, results.json, report.html          (verb)

Every arrow is an artifact of the store, found again on a rerun; so a study that was stopped, or killed, goes on.

request     what was asked
opened      the study in its folder, with what does its runs, and the time that it takes
costs       what the runs took
told        what a terminal and programs are told
"""
