"""The reference that follows from the code: it is what the code writes now, and every key has words and an example."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from docs._generate.configuration import sections
from docs._generate.pages import PAGES, REFERENCE
from lbmigrate.config.keys import keys_of, words
from lbmigrate.config.load import json_schema
from lbmigrate.config.model import Config

MODELS = {model.__name__: model for _, model in sections(Config, "")}
KEYS = [(name, key) for name, model in MODELS.items() for key in keys_of(model)]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_writes_now(name):
    assert (REFERENCE / name).read_text("utf-8") == PAGES[name](), "python -m docs._generate"


def test_every_key_of_a_configuration_has_words_and_an_example_and_nothing_else_has():
    assert {(name, key) for name, keys in words().items() for key in keys} == set(KEYS)


def test_every_example_is_a_valid_value_of_its_key():
    for name, key in KEYS:
        model, told = MODELS[name], words()[name][key]
        required = [k for k, field in keys_of(model).items() if model.model_fields[field].is_required()]
        document = {k: words()[name][k]["example"] for k in required} | told.get("beside", {}) | {key: told["example"]}
        TypeAdapter(model).validate_python(document)


def test_the_schema_for_editors_says_what_a_key_means():
    described = json_schema()
    assert described["properties"]["timezone"]["description"].startswith("The IANA time zone")
    assert described["$defs"]["Source"]["properties"]["points"]["examples"] == ["minimum(floor(minutes), 120)"]
    assert described["$defs"]["OptOut"]["properties"]["from"]["examples"]
