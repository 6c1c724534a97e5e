"""Training of GMMs: the stages from monophones to speaker-adaptive training."""
