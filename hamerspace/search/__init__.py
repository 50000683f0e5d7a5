"""The trial loop: what to try next, what to tell the sampler, when to stop, what to confirm."""
