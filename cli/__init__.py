"""cli of rlrun."""
