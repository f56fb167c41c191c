"""Two pictures to try the program with, and the scripts that render them."""
