"""How fast it is here: ``python -m nnstyle.benchmark``."""
