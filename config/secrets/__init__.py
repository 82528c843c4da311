"""Secrets that the configuration names and does not hold: where they are, reading them there, and reading them anew."""
