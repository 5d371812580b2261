"""A step of a plan is carried out only while what it is about is as it was."""

from sync.cli.planned import DELETE, Step, _has_moved
from tests.unit.test_conference import NOW, conference, unused, used


def test_a_deletion_is_refused_if_an_event_used_it_meanwhile_though_none_does_now() -> None:
    planned = unused(conference())
    step = Step(DELETE, planned.key, "delete", dropped_at=planned.dropped_at)
    assert _has_moved(step, planned) == ""
    back = used(planned, "cal.e1", "f1", NOW + 60)
    assert _has_moved(step, back) == "its events want something else by now"
    assert _has_moved(step, unused(back, now=NOW + 120)) == "an event used it again meanwhile"
