"""What is worth checking before a run: each finding is a fact with its fix. Only looks; never writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lbmigrate import feature_flag, schema
from lbmigrate.checks import kinds, users
from lbmigrate.checks.finding import Finding, Level
from lbmigrate.checks.looking import CHECK_CONFIG, SAMPLE, Looks, begun, mapped, sample, shares
from lbmigrate.config.model import Source
from lbmigrate.ledger import binding, sources, unknown_leavers
from lbmigrate.ledger.binding import Loss
from lbmigrate.ledger.odd import LOOKING_MS, ROW, odd_events
from lbmigrate.ledger.strays import first_of_no_source
from lbmigrate.ledger.user_ids import is_settled, kind_of_users
from lbmigrate.passes import likely
from lbmigrate.passes.read_plan import is_indexed
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.state.statuses import StepStatus
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.paths import pluck

MANY, FEW = 2_000, 0.05  # documents, and the share of them that is worth an index of its own


def check_data(context: Context, *, bounded: bool = False) -> list[Finding]:
    """Everything found about the config, the sources, the users and the schema; the fine lines included.

    With `bounded`, for a verb that is about to start, what forbids nothing is mostly not looked for, and where a board
    is there no more documents are looked at than that is worth; what is found besides refusals may then be wrong.
    """
    present = schema.present_collections(context.sources)
    alone, bounded = bounded, bounded and is_settled(context)
    looks = {s.name: _look(context, s, bounded) for s in context.config.sources if s.collection in present}
    told = [each for source in context.config.sources for each in _source(context, source, present, looks, bounded)]
    told += users.findings(context, present, looks, bounded)
    told += users.one_type(context, told, looks, bounded)
    told += [] if alone else _leavers(context)
    told += _binding(context)
    told += [] if alone else [*_flag(context), *_ledger(context)]
    return [*told, *kinds.of_targets(context), *_schema(context)]


def _binding(context: Context) -> Iterator[Finding]:
    """Whether the state describes what is there; a run settles it, but for a state of another database."""
    found = binding.apart(context)
    if found:
        yield Finding("refusal" if found.loss is Loss.FOREIGN else "warning", "state", found.sentence, found.way)


def _flag(context: Context) -> Iterator[Finding]:
    """Whether the flag's document went while nobody had turned anything off."""
    applied = any(context.state.step(number).get("status") == StepStatus.APPLIED for number, _ in binding.SWITCHES)
    if applied and binding.apart(context) is None and not feature_flag.find(context.target, context.config):
        flag = context.config.flag
        fact = f"{flag.id!r} is gone from {flag.collection}: the app records nothing, and shows no board"
        yield Finding(
            "warning", "flag", fact, "lbmigrate flag write on, and lbmigrate flag read on; or lbmigrate run --yes"
        )


def _leavers(context: Context) -> Iterator[Finding]:
    """Users whom only a state knew that was lost, as far as a moment suffices to look for them."""
    if unknown := unknown_leavers.told(unknown_leavers.number(context, LOOKING_MS)):
        yield Finding("warning", "state", unknown, unknown_leavers.NEXT)


def _ledger(context: Context) -> Iterator[Finding]:
    """Events that count for nobody, or about nothing, as far as a moment suffices to look for them."""
    if name := first_of_no_source(context):
        fact = f"{schema.EVENTS} has {name!r}, which counts, and whose action no source has"
        yield Finding("warning", "ledger", fact, "lbmigrate reconcile takes back what no source is behind")
    found = odd_events(context.target, kind_of_users(context), LOOKING_MS)
    if not found.complete:
        yield Finding("ok", "ledger", "too large to look at every event here; lbmigrate verify does")
    elif found.count > context.state.get(ROW).get("count", 0):
        fact = f"{found}; they count for nobody, or not for whom they should"
        yield Finding("warning", "ledger", fact, "lbmigrate reconcile adds what their sources are worth")
    elif found.count:
        yield Finding("ok", "ledger", f"{found}; what their sources are worth was added")


def _schema(context: Context) -> Iterator[Finding]:
    expiring = schema.expiring(context.target)
    for sentence in schema.differences(context.target):
        level: Level = "refusal" if sentence in expiring else "warning"
        yield Finding(level, "schema", sentence, "fix it by hand: lbmigrate changes nothing that it did not make")


def _look(context: Context, source: Source, bounded: bool) -> list[Document]:
    return sample(context.sources[source.collection], source, bounded=bounded)


def _source(
    context: Context, source: Source, present: dict[str, Document], looks: Looks, bounded: bool
) -> Iterator[Finding]:
    if source.collection not in present:
        there = ", ".join(sorted(present)[:8]) or "no collection at all"
        fact = f"collection {source.collection!r} does not exist in {context.sources.name}; there is {there}"
        yield Finding("refusal", source.name, fact, CHECK_CONFIG)
        return
    collection, rows = context.sources[source.collection], looks[source.name]
    yield from kinds.of_source(context, source, present, rows)
    if not rows:
        place = f"{source.collection}.{source.unwind}" if source.unwind else source.collection
        fact = f"no {'element' if source.unwind else 'document'} of {place} meets {hidden(str(source.where))}"
        if why := likely.reason(context, source):
            fact += f": {why}"
        yield Finding("warning", source.name, fact, "check the source's `where`: lbmigrate config show")
        return
    yield from _paths(source, rows, begun(context))
    yield from () if bounded else _trial(context, source, rows)  # which refuses nothing, and takes as long as the rest
    if "viewOn" in present[source.collection]:
        home = present[source.collection]["viewOn"]
        fact = f"{source.collection} is a view, which has no index: each incremental backfill reads the whole of it"
        yield Finding(
            "warning", source.name, fact, f"name {home} as the collection, if `where` and `unwind` can say it"
        )
        return
    yield from _sparse(context, source, rows)
    if not is_indexed(collection, source.cursor):
        fact = f"{source.collection}.{source.cursor} has no index: each incremental backfill reads the whole collection"
        yield Finding("warning", source.name, fact, f"db.{source.collection}.createIndex({{{source.cursor!r}: 1}})")


def _sparse(context: Context, source: Source, rows: list[Document]) -> Iterator[Finding]:
    """Whether few documents meet the filter, and no index finds them: whoever looks for them reads all the others."""
    collection = context.sources[source.collection]
    fields = [field for field in source.where if not field.startswith("$")]
    total = collection.estimated_document_count()
    if source.unwind or not fields or total < MANY or len(rows) >= SAMPLE or len(rows) > FEW * total:
        return
    if any(is_indexed(collection, field) for field in fields):
        return
    meet = "meets" if len(rows) == 1 else "meet"
    some = f"{len(rows):,} of about {amount(total, 'document')} of {source.collection}"
    fact = f"{some} {meet} its `where`, and no index has them"
    fix = f"db.{source.collection}.createIndex({{{fields[0]!r}: 1}}), so that a look at them does not read all"
    yield Finding("warning", source.name, fact, fix)


def _paths(source: Source, rows: list[Document], live: bool) -> Iterator[Finding]:
    """How many of the documents looked at have each mapped path, so that a mistyped one shows."""
    columns = pluck(rows, mapped(source))
    having = {path: sum(value is not None for value in column) for path, column in columns.items() if path != "_id"}
    yield Finding("ok", source.name, f"of {amount(len(rows), 'document')} in scope: {shares(having, len(rows))}")
    seen = f"none of {amount(len(rows), 'document')} of {source.collection} in scope has"
    vital: set[str] = set()
    for group in ([source.user.path], list(source.at)):
        if not any(having.get(path, len(rows)) for path in group):
            vital |= set(group)
            level: Level = "warning" if live else "refusal"
            yield Finding(level, source.name, f"{seen} {' or '.join(group)}", CHECK_CONFIG)
    spare = {path for chain in _chains(source, having) if any(having.get(path) for path in chain) for path in chain}
    for path in (path for path, count in having.items() if count == 0 and path not in vital | spare):
        yield Finding("warning", source.name, f"{seen} {path}", "correct the path, or leave it if it is yet to come")


def _chains(source: Source, having: Mapping[str, int]) -> list[Sequence[str]]:
    """The paths of which one suffices. A time from a later path is approximate, so those before it must be there."""
    first = next((place for place, path in enumerate(source.at) if having.get(path)), 0)
    return [source.at[first:], *(let.path for let in source.let.values() if let.path)]


def _trial(context: Context, source: Source, rows: list[Document]) -> Iterator[Finding]:
    """What scoring makes of the documents looked at: approximate times, and rejects with their first reason."""
    scored = sources.score(context, source, rows)
    approximate = sum("approximate" in event["meta"] for event in scored.events)
    if approximate:
        vague = [each.path for each in source.moments[1:] if not each.exact]
        fact = f"{approximate / len(rows):.0%} of the events would have an approximate time ({' or '.join(vague)})"
        yield Finding(
            "warning", source.name, fact, "they are marked meta.approximate; nothing can be done about the past"
        )
    if scored.rejects:
        fact = f"{len(scored.rejects) / len(rows):.1%} would be rejected, for example: {scored.rejects[0].reason}"
        yield Finding("warning", source.name, fact, "correct the mapping, or let them go: lbmigrate rejects")
