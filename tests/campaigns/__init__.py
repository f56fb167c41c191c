"""Commands that try for minutes or hours to break the program: ``kills``, ``fuzz`` and ``long_life``."""
