"""A verification of a sample, of what stands first and of odd cases; and of the sums of everything."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import islice

from lbmigrate.ledger import newcomers
from lbmigrate.ledger.odd import strangers
from lbmigrate.mongo.concerns import lenient
from lbmigrate.passes.read_plan import everything
from lbmigrate.records import Piece
from lbmigrate.run.context import VerifyOptions
from lbmigrate.run.workers import Held
from lbmigrate.schema.layout import everywhere
from lbmigrate.state import layouts
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import plain_id
from lbmigrate.values.limits import names_a_user
from lbmigrate.verify import choose, conserve, entries
from lbmigrate.verify.actions import Ledger
from lbmigrate.verify.bound import sample_size
from lbmigrate.verify.look import USERS_AT_ONCE, Look, parts
from lbmigrate.verify.windows import ranges


def pieces(look: Look) -> Iterator[Piece]:
    """The users that were chosen, what is behind their events, ranges of the sources, and the sums of all."""
    population = choose.count(look.context)
    size = sample_of(look.options, population)
    look.drawn = choose.chosen(look.context, look.options, size, look.kind)
    users = look.drawn.users
    for some in look.through(parts(iter(users), USERS_AT_ONCE)):
        if isinstance(some, Held):
            yield some.on(Piece("entries", look.totals.users, len(users), "users"))
            continue
        counts = look.compare(some)
        for ledger in look.ledgers:
            began = time.monotonic()
            look.take(ledger.check_events(choose.of_users(some)), time.monotonic() - began)
        yield Piece("entries", look.totals.users, len(users), "users", counts=counts)
        yield from look.settled("entries", few=True)
    yield from look.settled("entries")
    for ledger in look.ledgers:
        yield from _windows(look, ledger)
    if not look.context.stopping():
        yield from _conserved(look)


def _windows(look: Look, ledger: Ledger) -> Iterator[Piece]:
    """A few ranges of a source, at random places and at its end."""
    generator = random.Random(f"{look.options.seed}{ledger.action}")
    for name in look.collections(ledger):
        collection = look.context.sources[name]
        for span in everything(collection):
            for bounds in () if span.extra else ranges(collection, span, generator):
                if look.context.stopping():
                    return
                look.check(ledger, name, bounds)
    yield from look.settled("sources")


def _conserved(look: Look) -> Iterator[Piece]:
    """Points, events and entries of each period on both sides; where they differ, everybody is looked at.

    But where the users of events that came in lately account for it, they alone are.
    """
    yield from _strangers(look)
    if not conserve.is_summed(look.context):
        told = f"more than {conserve.MOST_SUMMED:,} events are not added up for a sample; lbmigrate verify --full does"
        yield Piece("sums", note=told)
        return
    began = time.monotonic()
    sums = conserve.both_sides(look.context)
    look.totals.sums.clear()  # those of the sample alone
    look.totals.sums.update(sums)
    differing = [period for period, each in sums.items() if not conserve.agree(each)]
    look.totals.part("sums", len(sums), len(sums), 0, "periods", time.monotonic() - began)
    if not differing or look.totals.wrong:
        return
    lately = newcomers.users(look.context)
    if lately is not None:
        found = [entries.compare(look.context, some, look.kind) for some in parts(iter(lately), USERS_AT_ONCE)]
        look.suspects += (each for some in found for each in some.wrong)
        yield from look.settled("entries")
        lacking = [conserve.comparable(look.context, some.periods) for some in found]
        if all(conserve.agree(sums[each], [some[each] for some in lacking if each in some]) for each in differing):
            return
    for some in look.through(parts(choose.everybody(look.context), USERS_AT_ONCE)):
        if not isinstance(some, Held):
            look.suspects += entries.compare(look.context, some, look.kind).wrong
            yield from look.settled("entries", few=True)
    yield from look.settled("entries")


def _strangers(look: Look) -> Iterator[Piece]:
    """The first who have an entry by an id of another type than all others: no sum of the others' shows it."""
    if look.kind is None:
        return
    layout, asked = layouts.layout(look.context.state), {"rev": {"$exists": True}, **strangers(look.kind)}
    rows = everywhere(lenient(look.context.target), layout, asked, {"userId": 1})
    users = {exact_text(row["userId"]): row["userId"] for row in islice(rows, USERS_AT_ONCE)}
    if named := [plain_id(user) for user in users.values() if names_a_user(user)]:
        look.suspects += entries.compare(look.context, named, look.kind).wrong
        yield from look.settled("entries")


def sample_of(options: VerifyOptions, population: int) -> int:
    """How many users are drawn: as many as were asked for, or as the bound takes."""
    if options.sample is not None:
        return options.sample
    return sample_size(population, options.confidence, options.max_error)
