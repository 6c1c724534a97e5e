"""Neural language models over words or pieces of them: LSTM and Transformer, one embedding for input and output."""
