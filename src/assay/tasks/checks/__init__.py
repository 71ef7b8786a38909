"""What is wrong with supervised examples, before time is spent: pure functions, parts of examples -> findings.

    finding    what a finding is, in what order findings matter; what of an example is compared
    labels     mistyped, unseen, rare, uneven
    tags       not of their scheme, cut off at ends of rows
    leaks      equal and nearly equal inputs of several parts; equal inputs with other answers
    texts      marks of HTML, characters that are none, widths and scripts mixed
    answers    of questions: contexts that several parts share, questions asked again
    numbers    far from all others
    lengths    what a model's tokenizer makes of texts: cut off, unknown

Parts are examples by name ("train", "dev", "test"), as `assay finetune` reads them.
"""
