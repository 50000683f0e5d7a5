"""A sampler of our own: cheap models of what recipes come to, and what trying one is worth."""
