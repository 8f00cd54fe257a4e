"""The settings of a command, or the names of what is wrong with them."""

from __future__ import annotations

import re
from typing import Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from liveserver.config import Settings


def settings(**given: Any) -> Settings:
    """What is given wins over the environment. What can't be is named, and ends the command with 2."""
    try:
        return Settings(**given)
    except ValidationError as error:
        for one in error.errors():
            name = "_".join(str(part) for part in one["loc"])
            wrong = one["msg"].removeprefix("Value error, ")
            typer.echo(f"LIVESERVER_{name.upper()}: {wrong}", err=True)
    except SettingsError as error:  # a list that is no JSON; its text has the field, in quotes
        field = next(iter(re.findall(r'field "(\w+)"', str(error))), "…")
        typer.echo(
            f'LIVESERVER_{field.upper()}: lists are written as JSON, like ["https://shop.example"]', err=True
        )
    raise typer.Exit(2)
