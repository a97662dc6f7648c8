"""The pages are whole: one file each, nothing fetched, and the very document that the code is held to."""

import re

import orjson
import pytest

from contracts import pages
from contracts.documents import DOCUMENTS, load_document
from contracts.errors import PagesUnavailable, UnknownContract
from contracts.pages import json_of, page_of

OUTSIDE = re.compile(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?!data:)""")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_page_fetches_nothing_and_holds_its_document(document: str) -> None:
    page = page_of(document)
    assert OUTSIDE.findall(page) == []
    assert page.count("</script>") == 2
    held = re.search(r"^const document_ = (.*);$", page, re.MULTILINE)
    assert held is not None
    assert orjson.loads(held[1]) == load_document(document)


def test_the_json_is_the_document_with_its_references_bundled() -> None:
    document = orjson.loads(json_of("wms"))
    assert document == load_document("wms")
    assert b"common.yaml" not in json_of("wms")


def test_an_unknown_document_has_no_page() -> None:
    with pytest.raises(UnknownContract, match="orders, erp, wms, threepl, carrier"):
        page_of("crm")


def test_without_swagger_ui_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "find_spec", lambda _name: None)
    with pytest.raises(PagesUnavailable, match=r'pip install "peakproof\[contracts\]"'):
        page_of.__wrapped__("erp")
