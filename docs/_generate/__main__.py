"""`python -m docs._generate`: write every generated page again."""

from docs._generate.pages import PAGES, REFERENCE

for name, page in PAGES.items():
    (REFERENCE / name).write_text(page(), "utf-8")
