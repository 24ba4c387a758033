"""What a file says: values of options by name, each with the place where it stands."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from ...settings import Settings

OPTIONS: Mapping[str, "Field[Any]"] = {option.name: option for option in fields(Settings)}
NONE = "none"  # takes a number back that a weaker source gives


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and where it was found."""

    value: Any
    where: str
