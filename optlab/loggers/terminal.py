"""Terminals: where progress is drawn and where results are printed."""

from rich.console import Console

from optlab.saying import is_quiet


class _Terminal(Console):
    """A stream whose reader may go away: the rest is not printed. Rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Print no more."""
        self.quiet = True


def progress_terminal() -> Console:
    """Return standard error, which shows nothing where quiet is wanted."""
    return _Terminal(stderr=True, quiet=is_quiet())


def result_terminal() -> Console:
    """Return standard output."""
    return _Terminal()


def print_line(terminal: Console, line: str) -> None:
    """Print a line as it is, however long, without colours or markup."""
    terminal.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
