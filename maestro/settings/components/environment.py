"""The environment, read once for all settings components."""

from maestro.env import Environment

ENVIRONMENT = Environment()
