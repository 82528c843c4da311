"""Numba implementations of the operators of `attractor.kernels`. Importing a module of this package imports Numba."""
