"""Metrics are made of fields that the code writes and the page lists; alerts and dashboard ask for no others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sync.codes import Code
from sync.one_pass import PassOutcome
from tests.logs_page import IN_EVERY_RECORD, OF_AN_EVENT

ROOT = Path(__file__).parents[2]
METRICS: dict[str, dict[str, Any]] = json.loads((ROOT / "terraform/metrics.json").read_text())
MONITORING = (ROOT / "terraform/monitoring.tf").read_text()
DASHBOARD = (ROOT / "terraform/templates/dashboard.json.tftpl").read_text()
PAGE = (ROOT / "docs/metrics.md").read_text()


def quoted(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_made_of_fields_that_its_records_have(name: str) -> None:
    metric = METRICS[name]
    wanted = {*metric["labels"].values(), *([metric["value"]] if "value" in metric else [])}
    for record in metric["records"]:
        assert wanted - OF_AN_EVENT[record].keys() - {"severity"} == set()
    assert "severity" in IN_EVERY_RECORD


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if "value" in metric])
def test_a_distribution_has_the_unit_of_its_field(name: str) -> None:
    metric = METRICS[name]
    assert metric["value"].endswith("_s") == (metric["unit"] == "s")


def test_the_page_lists_every_metric_as_it_is_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.*?) ?\| ?(.*?) ?\| ?(.*?) ?\|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == list(METRICS)
    for name, records, field, unit, labels in rows:
        metric = METRICS[name]
        assert quoted(records) == metric["records"], name
        assert "".join(quoted(field)) == metric.get("value", ""), name
        assert unit == metric.get("unit", ""), name
        assert quoted(labels) == list(metric["labels"]), name


def test_no_label_tells_an_event_a_conference_or_a_person() -> None:
    labels = {field for metric in METRICS.values() for field in metric["labels"].values()}
    assert labels <= {"outcome", "code", "conference", "reception", "account", "severity", "error"}
    assert 'conference = "REGEXP_EXTRACT(jsonPayload.conference, \\"^([^:]+):\\")"' in MONITORING


def test_alerts_and_the_dashboard_ask_for_metrics_that_there_are_and_for_each_of_them() -> None:
    asked = set(re.findall(r"\b(?:series|level|counted)\.(\w+)", MONITORING + DASHBOARD))
    assert asked - METRICS.keys() == set()
    assert METRICS.keys() - asked - {"pass_time"} == set()


def test_what_says_how_things_stand_is_a_distribution_and_what_is_counted_is_none() -> None:
    for kind, has_value in (("level", True), ("counted", False)):
        for name in re.findall(rf"\b{kind}\.(\w+)", MONITORING + DASHBOARD):
            assert ("value" in METRICS[name]) == has_value, name


# --- Alerts and their playbooks ---

ALERTS = re.findall(r"^    ([a-z-]+) = \{\n      title ", MONITORING, re.MULTILINE)
PLAYBOOKS = ROOT / "docs/playbooks"
SECTIONS = ["What it means", "How to look", "How to mend", "How to know it is mended"]


def test_every_alert_has_a_playbook_and_every_playbook_an_alert() -> None:
    listed = re.findall(r"\]\(([a-z-]+)\.md\)", (PLAYBOOKS / "README.md").read_text())
    assert sorted(listed) == sorted(ALERTS)
    assert sorted(path.stem for path in PLAYBOOKS.glob("[a-z]*.md")) == sorted(ALERTS)


def test_whatever_needs_a_person_has_an_alert() -> None:
    needs = "stale-calendar channel-ending converge-silent push-silent holds-waiting quarantine server-errors"
    assert {*needs.split(), "queue-age", "dead-grant"} <= set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_playbook_says_what_it_means_and_how_to_look_mend_and_know(alert: str) -> None:
    text = (PLAYBOOKS / f"{alert}.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert text.count("```console\n") >= 1, "how to look is a command"


@pytest.mark.parametrize("alert", ALERTS)
def test_a_playbook_fits_into_the_alert_that_brings_it_along(alert: str) -> None:
    """Cloud Monitoring takes 8 KiB of documentation, and reads ${…} in it as its own."""
    text = (PLAYBOOKS / f"{alert}.md").read_text()
    assert len(text.encode()) < 8000
    assert "${" not in text


@pytest.mark.parametrize("alert", ALERTS)
def test_a_playbooks_filters_ask_for_records_and_fields_that_there_are(alert: str) -> None:
    text = (PLAYBOOKS / f"{alert}.md").read_text()
    for listed in re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        found = re.findall(r'jsonPayload\.message=(?:"(\w+)"|\(([^)]+)\))', listed)
        events = [event for one, several in found for event in ([one] if one else quoted_words(several))]
        assert set(events) <= OF_AN_EVENT.keys()
        for event in events:
            fields = set(re.findall(r"\bjsonPayload\.(\w+)", listed)) - {"message"}
            assert fields <= OF_AN_EVENT[event].keys(), event
    for outcome in re.findall(r"`outcome` `(\w+)`", text):
        assert outcome in [each.value for each in PassOutcome]
    for code in re.findall(r'jsonPayload\.code="(\w+)"', text):
        assert code in [each.value for each in Code]


def quoted_words(text: str) -> list[str]:
    return re.findall(r'"(\w+)"', text)
