"""Triton implementations of the operators of `attractor.kernels`; imported only where a CUDA device is."""
