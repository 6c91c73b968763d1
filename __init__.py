"""rlrun: deep Q-learning that trains, watches and explains its agents."""

__version__ = "0.1.0"
