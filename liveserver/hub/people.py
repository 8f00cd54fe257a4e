"""Which sessions are whose, in this process."""

from __future__ import annotations

from liveserver.commands.session import Session


class People:
    def __init__(self) -> None:
        self._of: dict[str, set[Session]] = {}

    def add(self, session: Session) -> None:
        self._of.setdefault(session.who.user_id, set()).add(session)

    def remove(self, session: Session) -> None:
        if session.identity is None:
            return
        sessions = self._of.get(session.identity.user_id)
        if sessions is not None:
            sessions.discard(session)
            if not sessions:
                del self._of[session.identity.user_id]

    def sessions_of(self, user_id: str) -> list[Session]:
        return list(self._of.get(user_id, ()))
