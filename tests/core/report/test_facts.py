"""Nested values as rows."""

from __future__ import annotations

from vlcore.data.audit import audit_splits
from vlcore.data.record import ImageRef, Record, Text
from vlcore.report.facts import audit_rows, fact_rows, model_rows


def test_nested_names_are_joined_and_empty_values_left_out():
    rows = fact_rows({"a_b": {"c": {"d": [1, 2]}}, "none": None, "empty": {}, "flag": True, "many": 12345, "no": []})
    assert rows == [("a b: c: d", "1, 2"), ("flag", "yes"), ("many", "12,345")]


def test_flat_mappings_are_one_row():
    assert fact_rows({"splits": {"train": 1200, "test": 30}}) == [("splits", "train\u00a01,200, test\u00a030")]


def test_long_lists_are_cut_and_counted():
    (row,) = fact_rows({"ids": list(range(25))})
    assert row[1].endswith(", … and 5 more")


def test_audit_of_real_records_becomes_checks_and_facts(tmp_path):
    records = [
        Record("a", ImageRef(tmp_path / "a.png"), (Text("A dog ."),), group="p1", split="train"),
        Record("b", ImageRef(tmp_path / "b.png"), (Text("a dog"),), group="p1", split="test"),
        Record("c", ImageRef(tmp_path / "c.png"), (Text("a cat"),), group="p2", split="test"),
    ]
    checks, rest = audit_rows(audit_splits(records, images=False).to_dict())
    found = {check.name.split(" (")[0].split(";")[0]: check for check in checks}
    group, text = found["same group"], found["same caption"]
    assert (group.count, group.compared, group.leak) == (2, 3, True)
    assert group.examples == ("a (train) and b (test): group p1",)
    assert (text.count, text.leak) == (2, False)
    assert text.examples[0].startswith("a (train) and b (test): text ")
    assert ("leaks", "yes") in rest


def test_an_audit_check_that_is_new_is_shown_too():
    checks, rest = audit_rows({"same_page": {"count": 3, "examples": [["x", "y"]] * 9}, "records": 7})
    assert [(check.name, check.count, check.compared, len(check.examples)) for check in checks] == [
        ("same page", 3, None, 5)
    ]
    assert checks[0].examples[0] == "x, y"
    assert rest == [("records", "7")]


def test_model_rows_hold_the_licences():
    rows = model_rows({"towers": {"text": {"source": "starter/minilm", "licence": "Apache-2.0"}}})
    assert ("text tower: licence", "Apache-2.0") in rows
