"""To a Pushgateway, for runs on machines that nobody scrapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

JOB = "lbmigrate"
PATIENCE = 5.0  # seconds


def push(url: str, registry: CollectorRegistry, labels: Mapping[str, str]) -> None:
    """Replace there what the last run of this verb and database has said. Raises OSError or ValueError."""
    from prometheus_client import exposition  # noqa: PLC0415  an extra: only who asks for metrics needs it

    parts = urlsplit(url)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")

    def logged_in(where: str, method: str, seconds: float | None, headers: Any, data: bytes) -> Any:
        return exposition.basic_auth_handler(where, method, seconds, headers, data, user, password)

    handler = logged_in if user else exposition.default_handler
    exposition.push_to_gateway(plain, JOB, registry, dict(labels), PATIENCE, handler)
