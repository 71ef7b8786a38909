"""Laws of the loss: in parameters and tokens (`powers`, robust), of one trunk's sizes (`size`, a study's own).

`forecast` says how far a law can be trusted beyond its runs, `uses` what follows from it.
"""
