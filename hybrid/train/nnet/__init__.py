"""Training of networks: data without dumped examples, one loop for every objective, exact resumption."""
