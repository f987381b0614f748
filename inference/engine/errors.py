"""What the engine refuses, and why.

Every message names the value seen, the reason and the remedy; `code` is stable and meant for machines.
The serving process turns these into OpenAI-shaped errors.
"""


class EngineFault(Exception):
    """The root of everything this package raises on purpose."""

    code = "engine_error"


class ConfigRefused(EngineFault, ValueError):
    """A setting is out of range or two settings contradict each other."""

    code = "invalid_config"


class ModelRefused(EngineFault):
    """A model file or folder is unsafe, incomplete or of a kind that cannot be served."""

    code = "model_refused"


class RequestRefused(EngineFault):
    """One request cannot be served; nobody else is concerned. `code` says which rule it broke."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
