"""The server: a live-shopping room as software anyone can run. Start with ARCHITECTURE.md's two walks."""

__version__ = "0.1.0"
