"""The commands of `hybrid nnet`, by what they do; `hybrid.cli.nnet` is the group."""
