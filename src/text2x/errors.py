"""The one error that a user causes: its message is one line that names the value, the limit and the way out."""


class InputError(ValueError):
    """What was asked for cannot be done as asked; the command line prints the message alone and exits with 2."""
