"""The one exception that is meant for the person who caused it."""


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one sentence: what was given, what is accepted, and where. The command line prints it without a
    traceback and exits with status 2; nothing has been written when it is raised.
    """
