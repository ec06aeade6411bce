"""The apps of the how-to: the documents on the page, scored by the configuration on the page, give the board on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from bson import json_util

from lbmigrate import Board
from lbmigrate.config.model import Config
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from tests.apps import UNHURRIED, App

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "apps.md").read_text("utf-8")
APPS = re.findall(r"^## (\d+)\. .*?\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
TYPES = {"ObjectId": "$oid", "ISODate": "$date"}


def block(text, language):
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[1]


def documents(text):
    """What the page inserts: each collection with its documents, which read as YAML but for ids and dates."""
    for name, written in re.findall(r"^db\.(\w+)\.insertOne\((.*)\)$", block(text, "js"), re.MULTILINE):
        plain = re.sub(r"(ObjectId|ISODate)\((\".*?\")\)", lambda f: f'{{"{TYPES[f[1]]}": {f[2]}}}', written)
        yield name, json_util.loads(json_util.dumps(yaml.safe_load(plain)))


def test_there_are_ten():
    assert [number for number, _ in APPS] == [str(number) for number in range(1, 11)]


@pytest.mark.sampled
@pytest.mark.parametrize("text", [text for _, text in APPS], ids=[number for number, _ in APPS])
def test_the_board_of_an_app_is_the_one_on_the_page(text):
    config = Config.model_validate({**yaml.safe_load(block(text, "yaml")), "throttle": UNHURRIED})
    with fake.client() as client:
        for name, document in documents(text):
            client["app"][name].insert_one(document)
        App(client["app"], config).apply(STEPS[:4])
        shown = [(place.name or place.user, place.score) for place in Board(client["app"], config).top("global", 10)]
    assert shown == [(name, int(points)) for name, points in re.findall(r"^\| (\w+) \| (\d+) \|$", text, re.MULTILINE)]
