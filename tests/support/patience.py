"""How long the tests wait for what is sure to happen, so that a busy machine fails none of them."""

PATIENCE = 300  # seconds
