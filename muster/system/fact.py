"""What every fact is made of: strictness, durations, and errors that know their place."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from muster.system.units import DURATION, Unit, parse_duration, parse_quantity, pattern_of

Seconds = Annotated[
    float, BeforeValidator(parse_duration, json_schema_input_type=Annotated[str, Field(pattern=DURATION)])
]
Ratio = Annotated[
    float,
    BeforeValidator(
        lambda text: parse_quantity(text, Unit.RATIO),
        json_schema_input_type=Annotated[str, Field(pattern=pattern_of(Unit.RATIO))],
    ),
]
Source = str | list[str]  # "<document> / <section>", or several of them


class FactError(ValueError):
    """A mistake in a fact; ``path`` leads from the fact that was being validated to the place of the mistake."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


class Fact(BaseModel):
    """Base: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
