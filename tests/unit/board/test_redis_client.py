"""What an error of Redis means: its words come from servers and from the TLS library, not from us."""

from __future__ import annotations

import pytest

from lbmigrate.board.redis_client import explain

URL = "rediss://app:secret@redis.internal:6380/0"
UNTRUSTED = (
    "Error 1 connecting to redis.internal:6380. [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
    "self-signed certificate (_ssl.c:1006)."
)
RESET = "Error while reading from redis.internal:6380 : (104, 'Connection reset by peer')"


@pytest.mark.parametrize(
    ("words", "meaning", "hint"),
    [
        (UNTRUSTED, "has a certificate that this machine does not trust", "ssl_ca_certs"),
        (RESET, "closed the connection", "rediss://"),  # a server that wants TLS does so
        ("Timeout connecting to server", "cannot be used", "check that it runs"),
    ],
)
def test_an_error_of_the_connection_says_what_to_change_in_the_url(words, meaning, hint):
    told = explain(OSError(words), URL)
    assert meaning in str(told)
    assert hint in told.hint
    assert "secret" not in str(told)
