"""What a model may call."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool."""

    name: str
    description: str
    parameters: str
    """A JSON schema of the arguments, as text; always that of an object."""
