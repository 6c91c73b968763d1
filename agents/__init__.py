"""agents of rlrun."""
