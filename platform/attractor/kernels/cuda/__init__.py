"""Triton implementations of the operators of `attractor.kernels`.

Importing a module of this package needs Triton, which comes with torch for CUDA.
"""
