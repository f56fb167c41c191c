"""The scripts that draw the two sample pictures: ``python -m lessons.scenes.render``."""
