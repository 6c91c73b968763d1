"""studio: the local web page."""
