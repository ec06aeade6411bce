"""A change stream's token names the document that changed last, and so perhaps a user who left."""

from __future__ import annotations

import pytest

from lbmigrate.ledger.traces import Traces

START = "826B07ECEB000000132B022C0100296E5A1004EA0BC726BF6746CC991A8A8991535DFC461E5F696400"
TOKENS = {  # what a server made of these ids
    7: "2B0E", 300: "2C0258", 70_000: "2D0222E0", 1_795_646_312_070: "30034429B89D0C", -5: "27F5", -300: "26FDA7",
    0: "29", 2**62: "328000000000000000",
}  # fmt: skip


@pytest.mark.parametrize("number", TOKENS)
def test_a_number_is_found_in_the_token_of_its_document_and_in_no_other(number):
    found = {other for other in TOKENS if Traces(str(number)).in_token({"_data": f"{START}{TOKENS[other]}0004"})}
    assert found == {number}
