"""Triton kernels for what a GPU does badly as a chain of small operations; imported only where they run."""
