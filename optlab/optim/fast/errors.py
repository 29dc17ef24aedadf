"""Why something is not compiled."""


class NotCompiled(Exception):
    """A rule or a group of tensors has to be updated eagerly; the message says why."""
