"""Hand-tuned operators, one a file: a torch reference, a Numba implementation for the CPU, a Triton one for CUDA."""
