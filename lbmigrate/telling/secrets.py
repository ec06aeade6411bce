"""What nobody may see of URIs and command lines: passwords, user names, options that may be either.

Two ways to leave them out: `redact` and its kin rewrite what has the form of a URI; `hidden` takes out of any text the
secrets that this process has come to know.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, unquote_plus

LOCAL = "local:"
GONE = "***"
SHORTEST_SECRET = 3  # shorter ones would only riddle a text
KNOWN_BY_VALUE = 4  # characters that a text must share with a value to give something of it away

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"  # bounded: a word of megabytes is searched in time that grows with it
_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^@/?#,:\[\]\s]*)(?::\d{1,5})?"
# A URI in good shape. Anything else (a password with a bare `@`, `/` or `?` in it) is not shown at all.
SHAPE = re.compile(
    rf"(?P<scheme>{_SCHEME})?(?P<user>[^@/?#]*@)?(?P<host>{_HOST}(?:,{_HOST})*)"
    r"(?P<path>/[^@?#\s]*)?(?P<query>\?[^@#\s]*)?"
)
SCHEME = re.compile(_SCHEME)
SHOWN_SCHEME = re.compile(r"(?:mongodb(?:\+srv)?|rediss?|https?|s3|gs|file)://", re.IGNORECASE)
URI = re.compile(rf"{SCHEME.pattern}[^\s'\"`<>]*[^\s'\"`<>.,:;)]")
_OPTION = re.compile(r"[^?&;]+")

# The options of MongoDB's and Redis' URIs that cannot be secrets; whatever else a URI has is not shown.
HARMLESS = frozenset({
    "appname", "authmechanism", "authsource", "compressors", "connect", "connecttimeoutms", "db", "directconnection",
    "heartbeatfrequencyms", "journal", "loadbalanced", "localthresholdms", "maxconnecting", "maxidletimems",
    "maxpoolsize", "maxstalenessseconds", "minpoolsize", "protocol", "proxyhost", "proxyport", "readconcernlevel",
    "readpreference", "readpreferencetags", "replicaset", "retryreads", "retrywrites", "servermonitoringmode",
    "serverselectiontimeoutms", "socket_connect_timeout", "socket_timeout", "sockettimeoutms", "srvmaxhosts",
    "srvservicename", "ssl", "ssl_cert_reqs", "timeoutms", "tls", "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames", "tlscafile", "tlscertificatekeyfile", "tlsinsecure", "uuidrepresentation", "w",
    "waitqueuetimeoutms", "wtimeoutms", "zlibcompressionlevel",
})  # fmt: skip


def redact(uri: str) -> str:
    """Rewrite a URI (of MongoDB, Redis, a store) so that it can be shown: no user, no password, no odd option."""
    if uri.startswith(LOCAL):
        return uri
    shape = SHAPE.fullmatch(uri)
    if shape is None:
        scheme = SHOWN_SCHEME.match(uri)
        return f"{scheme[0] if scheme else ''}{GONE}"
    user = f"{GONE}@" if shape["user"] else ""
    query = _OPTION.sub(lambda found: _option(found[0]), shape["query"] or "")
    return f"{shape['scheme'] or ''}{user}{shape['host']}{shape['path'] or ''}{query}"


def _option(word: str) -> str:
    name, equals, value = word.partition("=")
    if not equals:
        return GONE
    return word if name.lower() in HARMLESS or len(value) < SHORTEST_SECRET else f"{name}={GONE}"


def redact_text(text: str) -> str:
    """A text without the secrets of the URIs in it; a URI ends at a blank or at a quote."""
    return URI.sub(lambda found: redact(found[0]), text)


def redact_word(word: str) -> str:
    """A word of a command line the same way; a URI ends at a blank, unless an `@` shows that a password goes on."""
    found = SCHEME.search(word)
    if found is None:
        return word
    before, rest = word[: found.start()], word[found.start() :]
    uri = rest.split(maxsplit=1)[0]
    if "@" in rest[len(uri) :]:
        return f"{before}{GONE}{rest[rest.rindex('@') :]}"
    return f"{before}{redact(uri)}{redact_word(rest[len(uri) :])}"


# --- command lines -----------------------------------------------------------------------------------------------

AGAIN = '"$LBMIGRATE_URI"'  # in place of a server whose password is not kept
USER = "USER"


def command_line(words: list[str], environ: Mapping[str, str]) -> str:
    """A command as it may be kept and shown, to be typed again as it is: without passwords, and without a user's id.

    A server that had a secret is named by the variable it should come from, unless that leads to another one.
    """
    return " ".join(_words(list(words), environ.get("LBMIGRATE_URI") or ""))


def redact_command(line: str) -> str:
    """The same for a command line that was kept as text."""
    try:
        return command_line(shlex.split(line), {})
    except ValueError:  # cut off within quotes
        return redact_word(line)


def _words(words: list[str], known: str) -> Iterator[str]:
    option = ""
    for word in words:
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        asked = name if equals else option
        option = "" if equals or not word.startswith("--") else word
        if asked in ("--uri", "--user") and (equals or not option):
            yield f"{name}{equals}{_value(asked, value, known)}"
        else:
            yield shlex.quote(f"{name}{equals}{redact_word(value)}")


def _value(option: str, value: str, known: str) -> str:
    if option == "--user":
        return USER
    if value == "$LBMIGRATE_URI":  # it was kept so
        return AGAIN
    shown = redact(value)
    return shlex.quote(shown) if shown == value or (known and known != value) else AGAIN


# --- what this process knows -------------------------------------------------------------------------------------

_known: set[str] = set()


def know_nothing() -> None:
    """Start over, as a process does."""
    _known.clear()


def remember(*texts: str | None) -> None:
    """Take note of the secrets in those of `texts` that are URIs: `hidden` keeps them out of whatever is said."""
    for text in texts:
        if found := SCHEME.search(text or ""):
            uri = found.string[found.start() :]
            _known.update(*map(secrets_of, {uri, uri.split(maxsplit=1)[0]}))


def keep(values: Iterable[str]) -> None:
    """Take note of secrets that are no URIs."""
    _known.update(_forms(set(values)))


def known() -> frozenset[str]:
    """All that this process knows to be secret, for another one that is to keep it too."""
    return frozenset(_known)


def hidden(text: str) -> str:
    """A text without what this process knows to be secret, and without that of any other URI in it."""
    return redact_text(without_known(text))


def without_known(text: str) -> str:
    """A text of ours without what this process knows to be secret; it may show how a URI with a password looks."""
    return _without(text, _known)


def scrub(text: str, uri: str) -> str:
    """Hide in `text` what `redact` hides in `uri`."""
    if uri.startswith(LOCAL):
        return text
    if SHAPE.fullmatch(uri) is None:
        return "its parts cannot be told apart"
    return _without(text, secrets_of(uri))


def secrets_of(uri: str) -> set[str]:
    """What of a URI is secret, as it is written and as it is meant; all of it where its parts are unclear."""
    shape = SHAPE.fullmatch(uri)
    if uri.startswith(LOCAL) or shape is None:
        return set() if uri.startswith(LOCAL) else _forms({SCHEME.sub("", uri, count=1)} | _between(uri))
    user = (shape["user"] or "").removesuffix("@")
    options = [word.partition("=") for word in _OPTION.findall(shape["query"] or "")]
    odd = {value or name for name, _, value in options if _option(f"{name}={value}") != f"{name}={value}"}
    return _forms({user, user.partition(":")[2], *odd})


def _between(uri: str) -> set[str]:
    """What stands where a password should, in a URI whose parts are unclear."""
    user, at, _ = SCHEME.sub("", uri, count=1).rpartition("@")
    return {user, user.partition(":")[2]} if at else set()


def _forms(secrets: set[str]) -> set[str]:
    read = {form for secret in secrets for form in (secret, unquote(secret), unquote_plus(secret))}
    written = {repr(form)[1:-1] for form in read}
    return {form for form in read | written if len(form) >= SHORTEST_SECRET}


def _without(text: str, secrets: set[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, GONE)
    return text


def without_value(text: str, value: str) -> str:
    """A message without any part of a value that it may quote, cut short or escaped: the value is not to be told.

    Of a URI in good shape that is what is secret in it: pieces of the rest are words of many messages.
    """
    shape = SHAPE.fullmatch(value)
    if shape and shape["scheme"]:
        for each in secrets_of(value):
            text = without_value(text, each)
        return text
    pieces = {
        form[at : at + KNOWN_BY_VALUE]
        for form in _forms({value})
        for at in range(max(1, len(form) - KNOWN_BY_VALUE + 1))
    }
    covered: set[int] = set()
    for at in range(len(text)):
        for size in (KNOWN_BY_VALUE, SHORTEST_SECRET):
            if text[at : at + size] in pieces:
                covered.update(range(at, at + size))
    shown = "".join("\0" if at in covered else character for at, character in enumerate(text))
    return re.sub("\0+", GONE, shown)


def _starts(text: str, size: int) -> range:
    """Where pieces of this size begin; a shorter text is one piece."""
    return range(max(1, len(text) - size + 1))
