"""Token ids -> what may follow them: steps of a model, sampling, beams, likelihoods of choices."""
