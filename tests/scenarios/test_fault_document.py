"""docs/faults.md names every kind of fault, and its example can be played."""

import re
from pathlib import Path

from ruamel.yaml import YAML

from scenarios.spec import FAULT_KINDS, FaultSpec

DOCUMENT = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")


def test_every_kind_is_explained() -> None:
    named = set(re.findall(r"`([a-z_0-9]+)`", "\n".join(re.findall(r"^\|[^|]*\|", DOCUMENT, re.MULTILINE))))
    assert {*FAULT_KINDS} - named == {"swizzle"}
    assert "`swizzle` names neither" in DOCUMENT


def test_the_example_can_be_played() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    faults = [FaultSpec.model_validate(plain) for plain in YAML(typ="safe").load(example)["faults"]]
    assert [fault.id for fault in faults] == ["lost", "twice", "torn"]
