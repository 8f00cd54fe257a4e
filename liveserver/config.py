"""Every setting of a process, from the environment (``LIVESERVER_…``) or the command line."""

from __future__ import annotations

import os
import secrets
from ipaddress import ip_network
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from liveserver.edge.senders import Choice
from liveserver.edge.senders import sender as chosen_sender
from liveserver.edge.tokens import SECRET_BYTES_MIN
from liveserver.stock.durability import REPLICA_WAIT_MS
from liveserver.stock.port import Durability

SECRET_FILE = "secret"
SECRET_BYTES = 48
STORE_SCHEMES = ("redis://", "rediss://", "unix://")
JOURNAL_FOLDER = "journal"
REPLICAS_MAX = 16
REPLICA_WAIT_MS_MAX = 1_500  # a call whose script the store had forgotten waits twice, and must still act


class Settings(BaseSettings):
    """``Settings()`` reads the environment; keyword arguments win over it."""

    model_config = SettingsConfigDict(env_prefix="LIVESERVER_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)  # 0: any free one

    redis_url: str = ""  # empty: an embedded Valkey
    valkey_bin: str = ""  # of the embedded one; empty: the packaged one, else what is on PATH
    data_dir: Path | None = None  # of the embedded one; None: temporary, gone at the end

    journal_dir: Path | None = (
        None  # of what was told to buyers; None: in the data directory, if there is one
    )

    secret: str = ""  # HS256; empty: made once and kept in the data directory
    public_key: str = ""  # PEM or its file: tokens are then made elsewhere
    issuer: str = "liveserver"
    audience: str = "liveserver"

    allowed_origins: list[str] = []  # beside our own host; native apps send none and are let in
    trusted_proxies: list[str] = []  # networks whose X-Forwarded-For is believed
    block_words_file: Path | None = None  # one word a line
    sessions_max: int = Field(default=15_000, ge=1)
    danmaku_budget_per_s: int = Field(default=30, ge=1)  # shown per room and second, over all processes
    danmaku_per_s: int = Field(default=1, ge=1)  # per session
    danmaku_burst: int = Field(default=3, ge=1)
    durability: Durability | None = None  # the least an answer must have reached; None: what the store offers
    replicas: int = Field(default=1, ge=1, le=REPLICAS_MAX)  # that must acknowledge, for ``replicated``
    replica_wait_ms: int = Field(default=REPLICA_WAIT_MS, ge=1, le=REPLICA_WAIT_MS_MAX)
    purchase_deadline_ms: int = Field(default=300, ge=10)  # then the answer is ``pending``
    keepalive_ms: int = Field(default=25_000, ge=1_000)
    drain_seconds: float = Field(default=10.0, ge=1, le=600)  # from being told to end to having ended
    sender: Choice = "auto"  # of ticks' frames; auto: the native one where it was built, else Python's
    log_json: bool = False
    log_level: str = "info"

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ip_network(network)
        return networks

    @field_validator("redis_url")
    @classmethod
    def _is_a_store(cls, url: str) -> str:
        if url and not url.startswith(STORE_SCHEMES):
            raise ValueError(f"it begins with one of {', '.join(STORE_SCHEMES)}")
        return url

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: str) -> str:
        if secret and len(secret.encode()) < SECRET_BYTES_MIN:
            raise ValueError(f"a token secret has at least {SECRET_BYTES_MIN} bytes")
        return secret

    @field_validator("block_words_file")
    @classmethod
    def _can_be_read(cls, file: Path | None) -> Path | None:
        if file is not None and not (file.is_file() and os.access(file, os.R_OK)):
            raise ValueError(f"{file} is no file that can be read")
        return file

    @field_validator("sender")
    @classmethod
    def _is_there(cls, choice: Choice) -> Choice:
        chosen_sender(choice)
        return choice

    @property
    def journal_folder(self) -> Path | None:
        return self.journal_dir or (self.data_dir and self.data_dir / JOURNAL_FOLDER)

    def resolve_secret(self, data_dir: Path | None = None) -> str:
        """The HS256 secret: the one given, else the one kept in the data directory, made if need be (so that
        ``liveserver token`` mints what ``liveserver serve`` accepts). Raises ``SecretMissingError`` where
        there is neither."""
        if self.secret:
            return self.secret
        folder = data_dir or self.data_dir
        if folder is None:
            raise SecretMissingError(
                "no secret to sign tokens with: set LIVESERVER_SECRET, or name the server's --data-dir"
            )
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SECRET_FILE
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
        return path.read_text().strip()


class SecretMissingError(Exception):
    pass
