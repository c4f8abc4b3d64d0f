"""``python -m firstbell`` is the same as the ``firstbell`` command."""

from firstbell.cli.main import main

if __name__ == "__main__":
    main()
