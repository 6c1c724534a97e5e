"""Files of OpenFst, Kaldi, numpy and safetensors as arrays, and back."""
