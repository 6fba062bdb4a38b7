"""allometry: how architectures scale, what they prefer, and what their parts can compute."""
