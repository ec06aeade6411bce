"""To a Pushgateway, for runs on machines that nobody scrapes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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

    logged_in = partial(exposition.basic_auth_handler, username=user, password=password)
    handler: Any = logged_in if user else exposition.default_handler
    exposition.push_to_gateway(plain, JOB, registry, dict(labels), PATIENCE, handler)
