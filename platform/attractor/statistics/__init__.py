"""Statistics of draws: what a sampler's output is worth, and what it says."""
