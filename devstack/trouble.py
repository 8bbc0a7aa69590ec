"""What can go wrong in a way that the reader can put right."""


class Trouble(Exception):
    """The stack can't go on; the text is one or two sentences that say what to do. Exit status 1."""


class ConfigurationTrouble(Trouble):
    """Something about the surroundings is wrong: a folder, a port, an account, an argument. Exit status 2."""
