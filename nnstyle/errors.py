"""The one exception that speaks to the user."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, and what to do.

    The command line prints it as one line and exits with status 2.
    """
