"""`python -m maestro.embedded '{"home": …}'`: the supervisor on its own, as `maestro up --detach` starts it."""

from __future__ import annotations

import sys

from maestro.embedded import output, supervisor
from maestro.embedded.errors import StackError
from maestro.embedded.options import StackOptions


def main() -> int:
    """Run the stack that the argument describes, logging to standard output."""
    log = output.Log(sys.stdout.buffer, is_coloured=False)
    try:
        supervisor.run_stack(StackOptions.model_validate_json(sys.argv[1]), log)
    except StackError as error:
        log.say(error.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
