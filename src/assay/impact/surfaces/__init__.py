"""Loss as a function of the mixture, from any table of runs: forms, their choice, their draws, the best mixture.

    features    shares -> [x, log(x + eps)], in units of their spread
    forms       what a form is: shares, losses, how often each run counts -> a surface; ridge, kernel, exponential
    choice      folds of the runs -> the form that predicts each target best
    blend       the chosen surfaces of all targets as one
    optimum     the mixture of the least loss, not far from the natural one, under caps
    ensemble    runs drawn again -> optima, each judged by the runs that its draw left out

The study's own model (`impact/mixtures.py`) answers another question: what a source does near the natural mixture.
"""
