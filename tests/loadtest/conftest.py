"""The real browser, for the pages of reports."""

from __future__ import annotations

from tests.web.conftest import browser as browser
