"""Attractor."""
