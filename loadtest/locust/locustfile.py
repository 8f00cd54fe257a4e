"""A live room's audience for locust: viewers, buyers and one streamer.

With `liveserver serve` running in the same folder (its secret is in ./live-data):

    make locust                                              the web page at http://localhost:8089
    make locust ARGS="--headless -u 300 -r 50 -t 1m"         in the terminal, and exit 1 on any failure
    make locust ARGS="--headless -u 300 -r 50 -t 1m Viewer Streamer"      only these users

Elsewhere: --host http://shop.example:8080 (or https://), and the tokens either minted with the server's
secret (LIVESERVER_SECRET, or --secret-file) or read from --token-file. --room names the room, --pace how many
seconds lie between two things a user does, --units how many a sale begins with.

On several machines or cores one locust is the master and the others do the work; every worker needs the
secret or the token file:

    locust -f loadtest/locust/locustfile.py --master --expect-workers 2 --headless -u 5000 -r 100 -t 5m
    locust -f loadtest/locust/locustfile.py --worker --master-host 10.0.0.1
    locust -f loadtest/locust/locustfile.py --processes 2 ...             both on one machine

What users do: of a hundred actions 89 are a viewer's (likes, comments, pings), 5.5 a buyer's look at the
sale's page and 2.3 a purchase, which is the ratio Taobao tells of its visits, carts and orders. The rows of
the statistics are commands, their type is how they ended: `ok`, a purchase's outcome, a comment's receipt;
failures are `refused` with the error's code, and `unknown` where no answer came. A refused token is a failure
of `connect`.
"""

from __future__ import annotations

import sys
from typing import Any

from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner

from loadtest.locust import tokens
from loadtest.locust.users import Buyer, LiveUser, Streamer, Viewer

__all__ = ["Buyer", "Streamer", "Viewer"]


def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--room", default="r1", env_var="LOCUST_ROOM", help="the room's id")
    parser.add_argument("--pace", type=float, default=5.0, help="seconds between two things a user does")
    parser.add_argument("--units", type=int, default=100_000, help="how many a sale begins with")
    parser.add_argument(
        "--token-file",
        default="",
        include_in_web_ui=False,
        help='JSON {"streamer": token, "viewers": [token, ...]}; else tokens are minted',
    )
    parser.add_argument(
        "--secret-file",
        default="live-data/secret",
        include_in_web_ui=False,
        help="the server's secret, where LIVESERVER_SECRET isn't set",
    )


def find_tokens(environment: Environment, **_: Any) -> None:
    """In whatever process has users. Ends it where nothing says who they are."""
    if isinstance(environment.runner, MasterRunner) or environment.parsed_options is None:
        return
    options = environment.parsed_options
    try:
        mint = tokens.found(options.token_file, options.secret_file, options.room)
    except tokens.NoTokens as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    LiveUser.mint = staticmethod(mint)


events.init_command_line_parser.add_listener(add_options)  # type: ignore[no-untyped-call]
events.init.add_listener(find_tokens)  # type: ignore[no-untyped-call]
