"""Triton kernels for Waterworld, a step of any number of worlds in two launches; imported only where they run."""
