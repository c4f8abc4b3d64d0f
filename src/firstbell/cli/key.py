"""``firstbell key``: make a key for a run on several machines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from firstbell.cli.shell import shared_options
from firstbell.sniper.dealing.sealing import KEY, new_key

if TYPE_CHECKING:
    from firstbell.cli.shell import Shell


@click.command()
@shared_options
def key(shell: Shell) -> int:
    """Print a new key for a run on several machines.

    Set it as FIRSTBELL_KEY in the environment of the master and of every worker, and in no file that others can read:
    it protects the orders that the master deals out.

    \b
      export FIRSTBELL_KEY=$(firstbell key)
      firstbell run -- --master --master-bind-host 0.0.0.0 --expect-workers 2
      locust -f .../firstbell/sniper/locustfile.py --worker --master-host HOST
    """  # noqa: D301 - the backspace is click's mark for lines that are not to be joined
    if shell.json:
        shell.print_json({KEY: new_key()})
    else:
        sys.stdout.write(f"{new_key()}\n")
    return 0
