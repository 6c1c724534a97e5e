"""A decoding as one HTML page: error rates, aligned errors, confusions, confidences, single utterances with sound."""
