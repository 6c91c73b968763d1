"""Waterworld: an agent with eyes among apples and poison, after the demonstrations of ConvNetJS and REINFORCEjs."""
