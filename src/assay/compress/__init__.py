"""`assay compress`: a model directory -> a smaller one, and what that costs.

calibration   text or examples -> rows that the model is shown
walking       what the layers of each block are given, block by block
quantizing    matrices -> whole numbers of 8 or 4 bits (grids: the arithmetic)
pruning       single weights -> 0; cutting: layers, heads and units taken out
training      a student under its teacher, a pruned model at its task: by `assay finetune` and `assay train`
verb          all of it in a staged folder that takes its name at the end; card, told
"""
