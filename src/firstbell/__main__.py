"""Where the ``firstbell`` command and ``python -m firstbell`` begin: Ctrl-C works before anything else is loaded."""

import importlib
import sys

_EXIT_INTERRUPTED = 130


def main() -> None:
    """Load the command line and run it; leave with its exit status."""
    try:
        # It takes a moment, in which somebody may think better of it.
        importlib.import_module("firstbell.cli.main").main()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(_EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
