"""`assay finetune`: examples of a task and a recipe -> a model that does the task, judged.

request     what was asked, and the folder in which it happens
data        files -> examples of train, dev, test
body        the model below the head: given or new, with its tokenizer and rates
tuning      data and body -> a run of the one trainer -> answers, scores, a model directory
checking    what is wrong with the examples, before any of it (`assay doctor data`)
erring      answers -> where the errors are, and labels that may be wrong (`assay eval errors`)
told        what a terminal says
"""
