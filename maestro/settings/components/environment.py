"""The environment, read once for all settings components; a wrong value ends the process and is named."""

import sys

from pydantic import ValidationError

from maestro.env import Environment


def _read_environment() -> Environment:
    try:
        return Environment()
    except ValidationError as error:
        # Without the values: some are secrets.
        faults = error.errors(include_input=False, include_url=False)
        lines = [f"{fault['loc'][0]}".upper() + f": {fault['msg'].removeprefix('Value error, ')}" for fault in faults]
        sys.exit("\n".join(("The environment has a wrong value:", *lines)))


ENVIRONMENT = _read_environment()
