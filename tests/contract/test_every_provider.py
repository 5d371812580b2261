"""What holds for every provider that is shipped, and what becomes of odd meetings at each: a complete table."""

import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sync import conferences
from sync.conferences.registry import Registry
from sync.errors import Misconfigured, Unsupported
from sync.meeting import Meeting
from sync.ports import Outcome, Provider, Target
from sync.recognise import ConferenceKey
from sync.settings import ProviderSettings
from sync.testing import PATIENT_S
from tests.contract.documented import NoSecrets
from tests.contract.stages import HOSTS, STAGES, Stage
from tests.unit.test_conferences import Book

ROOT = Path(__file__).parents[2]
YEAR = datetime.now(UTC).year + 2
BEFORE_DST = datetime(YEAR, 3, 20, 8, 30, tzinfo=UTC)  # within two weeks the clocks change in Berlin
NOON = datetime(YEAR, 7, 1, 12, tzinfo=UTC)
PLAIN = Meeting("New", NOON, NOON + timedelta(hours=1), "Europe/Berlin", all_day=False, recurrence=())

TOLD, IGNORED, REFUSED, FIRST = (
    "told",
    "ignored",
    "refused",
    "first",
)  # first: of a series, its first occurrence
DAY = datetime(YEAR, 7, 1, tzinfo=UTC)
ODD: dict[str, Meeting] = {
    "all day": replace(PLAIN, start=DAY, end=DAY + timedelta(days=1), all_day=True),
    "no length": replace(PLAIN, end=NOON),
    "thirty hours": replace(PLAIN, end=NOON + timedelta(hours=30)),
    "unknown zone": replace(PLAIN, time_zone="Moon/Tranquillity"),
    "series over a change of clocks": replace(
        PLAIN, start=BEFORE_DST, end=BEFORE_DST + timedelta(hours=1), recurrence=("RRULE:FREQ=WEEKLY",)
    ),
    "series in an unknown zone": replace(
        PLAIN, time_zone="Moon/Tranquillity", recurrence=("RRULE:FREQ=WEEKLY;COUNT=5",)
    ),
}
# What becomes of their times, in the order of ODD.
FATES: dict[str, tuple[str, str, str, str, str, str]] = {
    "webhook": (TOLD, TOLD, TOLD, TOLD, TOLD, TOLD),
    "rest": (TOLD, TOLD, TOLD, TOLD, TOLD, REFUSED),
    "zoom": (IGNORED, IGNORED, IGNORED, TOLD, TOLD, IGNORED),
    "teams": (IGNORED, IGNORED, TOLD, TOLD, FIRST, FIRST),
    "webex": (IGNORED, IGNORED, IGNORED, TOLD, TOLD, IGNORED),
    "bigbluebutton": (IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED),
    "jitsi": (TOLD, TOLD, TOLD, TOLD, FIRST, FIRST),
    "nextcloud_talk": (TOLD, TOLD, TOLD, TOLD, FIRST, FIRST),
    "demo": (TOLD, TOLD, TOLD, TOLD, FIRST, FIRST),
}


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with STAGES[request.param](tmp_path) as stage:
        yield stage


@pytest.fixture
def provider(stage: Stage) -> Provider:
    registry = Registry(
        [stage.settings], connect_s=PATIENT_S, read_s=PATIENT_S, secrets=NoSecrets, accounts=Book
    )
    return registry.provider(stage.use)


@pytest.fixture
def target(stage: Stage) -> Target:
    return Target(ConferenceKey(stage.use, stage.id(0)), 1, locator=stage.link(0), organizer=HOSTS[0])


# --- none is forgotten ---


def shipped() -> set[str]:
    """Every module beside the page that has a class as a provider's is called."""
    found = set()
    for module in pkgutil.iter_modules(conferences.__path__):
        name = f"{conferences.__name__}.{module.name}"
        known = vars(__import__(name, fromlist=["x"])).get(module.name.title().replace("_", ""))
        if hasattr(known, "update") and hasattr(known, "delete"):
            found.add(module.name)
    return found


def test_every_provider_that_is_shipped_is_in_both_tables() -> None:
    assert set(STAGES) == set(FATES) == shipped()


@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_provider_has_its_page_and_its_contract_test(name: str) -> None:
    page = ROOT / f"docs/providers/{name}.md"
    assert name == "demo" or "verified against: unit / fake / schema" in page.read_text().lower()
    assert (ROOT / f"tests/contract/test_provider_{name}.py").exists()


@pytest.mark.parametrize("name", [each.name for each in pkgutil.iter_modules(conferences.__path__)])
def test_what_stands_beside_the_providers_is_offered_as_none(name: str) -> None:
    chosen = [ProviderSettings("x", name, {"no such": 1})]
    registry = Registry(chosen, connect_s=1, read_s=1, secrets=NoSecrets, accounts=Book)
    with pytest.raises(Misconfigured) as caught:
        registry.provider("x")
    assert (name in shipped()) is ("not a provider" not in str(caught.value))


@pytest.mark.parametrize("name", sorted(STAGES))
def test_to_use_one_provider_loads_no_other(name: str) -> None:
    program = (
        "import sys\n"
        "from sync.conferences.registry import _class\n"
        f"_class({name!r})\n"
        "print(*[each.rpartition('.')[2] for each in sys.modules if each.startswith('sync.conferences.')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(ran.stdout.split())
    assert loaded & shipped() == {name}
    others = tuple(f"{other}_" for other in shipped() - {name})
    assert [each for each in loaded if each.startswith(others) and not each.startswith(name)] == []


# --- odd meetings ---


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_meeting_is_told_as_it_is_or_ignored_aloud(
    stage: Stage, provider: Provider, target: Target, odd: str
) -> None:
    meeting, fate = ODD[odd], FATES[stage.use][list(ODD).index(odd)]
    before = stage.span(0)
    if fate == REFUSED:
        with pytest.raises(Unsupported):
            provider.update(target, meeting)
        assert (stage.span(0), stage.title(0)) == (before, "Old")
        return
    outcome = provider.update(target, meeting)
    repeated = stage.span(0), stage.title(0)
    provider.update(target, meeting)
    assert (stage.span(0), stage.title(0)) == repeated, "twice is once"
    assert _accounted(outcome, meeting), "what becomes of title, time and rule is said"
    assert ("time" in outcome.ignored) is (fate == IGNORED)
    assert ("recurrence" in outcome.ignored) is (bool(meeting.recurrence) and fate != TOLD)
    assert bool(outcome.note) or not outcome.ignored or stage.use == "demo"
    if fate == IGNORED:
        assert stage.span(0) == before
    else:
        assert _is_then(stage, meeting)
    if fate == TOLD and meeting.recurrence and meeting.zone:
        starts = stage.starts(0)
        assert len(starts) == 8
        assert {f"{start:%H:%M}" for start in starts} == {"09:30"}, "it keeps its time of day"
        assert {later - start for start, later in pairwise(starts)} == {timedelta(days=7)}


def _accounted(outcome: Outcome, meeting: Meeting) -> bool:
    wanted = {"title", "time", *(["recurrence"] if meeting.recurrence else [])}
    return wanted <= {*outcome.applied, *outcome.ignored} and not {*outcome.applied} & {*outcome.ignored}


def _is_then(stage: Stage, meeting: Meeting) -> bool:
    """Whether the system has these times, as far as it has any. A day begins at midnight, here or there."""
    span = stage.span(0)
    if span is None:
        return True
    start, end = span
    if meeting.all_day:
        days: set[date] = {start.date(), start.astimezone(meeting.zone).date()}
        return meeting.start.date() in days
    if stage.use == "nextcloud_talk":
        return start == meeting.start  # a room has no end
    return (start, end) == (meeting.start, meeting.end)
