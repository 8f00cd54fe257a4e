"""``liveserver token`` mints what the server of the same data directory accepts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from liveserver.cli.token import token
from liveserver.config import Settings
from liveserver.edge.tokens import TokenConfig, TokenError, Tokens
from protocol.types import Role

app = typer.Typer()
app.command()(token)
SECRET = "a secret of the tests, which is long enough for HS256"


def mint(*words: str, secret: str = "") -> Result:
    return CliRunner().invoke(app, list(words), env={"LIVESERVER_SECRET": secret})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SESSIONS_MAX", "many"),
        ("ALLOWED_ORIGINS", "http://shop.example"),
        ("TRUSTED_PROXIES", '["proxy.example"]'),
        ("TRUSTED_PROXIES", '["10.0.0.1/8"]'),
    ],
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    refused = CliRunner().invoke(app, ["--user", "anna"], env={f"LIVESERVER_{name}": text})
    assert refused.exit_code == 2 and isinstance(refused.exception, SystemExit)
    assert name in refused.stderr.upper() and "Traceback" not in refused.stderr
    assert "Value error" not in refused.stderr


def test_a_token_lives_a_while() -> None:
    refused = mint("--user", "anna", "--ttl", "0s", secret=SECRET)
    assert refused.exit_code == 2 and "--ttl" in refused.stderr


def test_the_servers_own_secret(tmp_path: Path) -> None:
    minted = mint(
        *("--role", "streamer", "--user", "anna", "--name", "安娜", "--fan", "--ttl", "2h"),
        *("--room", "r1", "--room", "r2", "--data-dir", str(tmp_path)),
    )
    assert minted.exit_code == 0 and minted.stdout.count("\n") == 1
    now_ms = time.time_ns() // 1_000_000
    tokens = Tokens(TokenConfig(secret=Settings(data_dir=tmp_path, secret="").resolve_secret()))
    identity = tokens.verify(minted.stdout.strip(), now_ms)
    assert (identity.user_id, identity.name, identity.role) == ("anna", "安娜", Role.STREAMER)
    assert identity.rooms == ("r1", "r2") and identity.fan
    assert 7_100_000 < identity.expires_at_ms - now_ms <= 7_202_000
    with pytest.raises(TokenError):
        Tokens(TokenConfig(secret=SECRET)).verify(minted.stdout.strip(), now_ms)


def test_a_secret_of_the_environment_wins(tmp_path: Path) -> None:
    minted = mint("--user", "u1", "--data-dir", str(tmp_path), secret=SECRET)
    identity = Tokens(TokenConfig(secret=SECRET)).verify(minted.stdout.strip(), 0)
    assert identity.role is Role.VIEWER and identity.rooms == ("*",) and identity.name == "u1"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "exit_code", "complaint"),
    [
        (("--user", "u1", "--ttl", "5"), 2, "--ttl"),
        (("--user", "u1", "--role", "king"), 2, "king"),
        (("--user", "no spaces"), 2, "'no spaces' is no id: write 1 to 64 letters"),
        (("--user", "u1", "--room", "no spaces"), 2, "--room"),
        (("--user", "u1", "--room", "r1", "--room", "*"), 1, "`rooms`"),
        ((), 2, "--user"),
    ],
)
def test_what_cannot_be(words: tuple[str, ...], exit_code: int, complaint: str) -> None:
    refused = mint(*words, secret=SECRET)
    assert refused.exit_code == exit_code and refused.stdout == ""
    assert complaint in refused.stderr
