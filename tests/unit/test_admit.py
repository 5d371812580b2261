"""The public door to enrolment: the right people, few tasks, and nothing read or kept for anybody else."""

import json
from collections.abc import Callable

import pytest

from sync import enrolment
from sync.admit import MOST_AN_HOUR, Admission, Answer, is_admitted
from sync.enrolment import Ask, Person
from sync.errors import Rejected, Transient
from sync.ports import Task
from tests.clock import ManualClock

ADA = Person("ada@example.com", "example.com")


class Proofs:
    """Knows the person by the token `ada`."""

    def __init__(self) -> None:
        self.known = {"ada": ADA, "eve": Person("eve@example.net", "example.net")}
        self.asked: list[str] = []

    def person(self, token: str) -> Person:
        self.asked.append(token)
        if token not in self.known:
            raise Rejected("no")
        return self.known[token]


class Queue:
    """Names are never free again."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.tried = 0
        self.answers = True

    def create(self, task: Task) -> bool:
        self.tried += 1
        if not self.answers:
            raise Transient("no answer")
        return self.tasks.setdefault(task.name, task) is task


class Door:
    def __init__(self) -> None:
        self.proofs, self.queue, self.clock = Proofs(), Queue(), ManualClock()
        self.read = 0
        self.admission = self.another()

    def another(self) -> Admission:
        """Another instance of the same door."""
        return Admission(self.proofs, {"example.com"}, self.queue, self.clock)

    def ask(
        self,
        ask: Ask = Ask.ENROL,
        authorization: str = "Bearer ada",
        body: bytes = b"",
        length: int | None = None,
        at: Admission | None = None,
    ) -> Answer:
        def read() -> bytes:
            self.read += 1
            return body

        asked_at = at or self.admission
        method = "POST" if ask is Ask.ENROL else "DELETE"
        return asked_at.admit(method, authorization, len(body) if length is None else length, read)

    def texts(self) -> list[str]:
        return [task.subject for task in self.queue.tasks.values()]


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize("ask", Ask)
def test_what_is_asked_becomes_a_task_that_is_due_at_once(door: Door, ask: Ask) -> None:
    assert door.ask(ask, body=b'{"calendar_id": "room@example.com"}') == Answer(202, ask)
    (task,) = door.queue.tasks.values()
    asked = enrolment.read_again(task.subject)
    assert (task.kind, task.due_at) == (ask, door.clock.now())
    assert (asked.caller, asked.calendar_id) == (ADA.address, "room@example.com")
    assert "ada" not in task.name


@pytest.mark.parametrize("authorization", ["", "ada", "Basic ada", "Bearer", "Bearer x", "Bearer ada ada"])
def test_who_proves_nothing_is_told_nothing_and_costs_nothing(door: Door, authorization: str) -> None:
    assert door.ask(authorization=authorization, body=b"{") == Answer(401, "token")
    assert (door.read, door.queue.tried) == (0, 0)


def test_the_scheme_may_be_written_in_any_case(door: Door) -> None:
    assert door.ask(authorization="bearer ada").status == 202


def test_who_is_of_another_domain_is_refused_before_anything_is_read(door: Door) -> None:
    assert door.ask(authorization="Bearer eve") == Answer(403, "domain")
    assert (door.read, door.queue.tried) == (0, 0)


@pytest.mark.parametrize(
    ("person", "admitted"),
    [
        (ADA, True),
        (Person("ada@example.com", "EXAMPLE.com"), True),
        (Person("ada@example.com", "example.org"), True),
        (Person("ada@example.com", ""), False),  # anybody's account with a foreign address
        (Person("ada@example.com", "example.net"), False),
        (Person("ada@sub.example.com", "example.com"), False),
        (Person("ada@example.net", "example.com"), False),
        (Person("ada@example.com.evil.net", "example.com.evil.net"), False),
        (Person("ada@evil-example.com", "evil-example.com"), False),
        (Person("ada@example.com", "example.com.evil.net"), False),
        (Person("ada@example.com.", "example.com."), False),
        (Person("ada@com", "com"), False),
        (Person("ada@ex\u0430mple.com", "ex\u0430mple.com"), False),  # a letter that only looks alike
        (Person("ada@", ""), False),
        (Person("ada@gmail.com", ""), False),
        (Person('"ada@example.com"@example.net', "example.com"), False),
    ],
)
def test_the_address_and_its_organization_are_both_of_our_domains(person: Person, admitted: bool) -> None:
    assert is_admitted(person, {"example.com", "example.org"}) is admitted


def test_of_google_own_addresses_there_is_no_organization_to_ask_for() -> None:
    assert is_admitted(Person("ada@gmail.com", ""), {"gmail.com"})
    assert not is_admitted(Person("ada@googlemail.com", ""), {"gmail.com"})


def test_a_body_that_is_too_long_is_not_read(door: Door) -> None:
    assert door.ask(length=enrolment.MOST_BYTES + 1) == Answer(413, "size")
    assert (door.read, door.queue.tried) == (0, 0)
    assert door.ask(length=enrolment.MOST_BYTES).status == 202


def test_a_body_that_makes_no_sense_is_refused(door: Door) -> None:
    assert door.ask(body=b'{"calender_id": "x"}') == Answer(400, "body")
    assert door.queue.tried == 0


def test_nobody_makes_more_than_a_few_tasks_an_hour_at_however_many_instances(door: Door) -> None:
    instances = [door.another() for _ in range(3)]
    answers = [door.ask(at=instances[number % 3]).status for number in range(5 * MOST_AN_HOUR)]
    assert answers.count(202) == len(door.queue.tasks) == MOST_AN_HOUR
    assert set(answers) == {202, 429}
    assert answers[:MOST_AN_HOUR] == [202] * MOST_AN_HOUR


def test_who_has_asked_too_often_costs_nothing_more_and_is_told_when_to_come_again(door: Door) -> None:
    door.clock.advance(-door.clock.now() % 3600 + 600)
    for _ in range(MOST_AN_HOUR):
        door.ask()
    tried = door.queue.tried
    answer = door.ask()
    assert (answer.status, answer.word, answer.wait_s) == (429, "later", 3000)
    assert door.queue.tried == tried
    door.clock.advance(answer.wait_s)
    assert door.ask().status == 202


def test_one_callers_tasks_leave_the_others_theirs(door: Door) -> None:
    door.proofs.known["bob"] = Person("bob@example.com", "example.com")
    for _ in range(MOST_AN_HOUR + 1):
        door.ask()
    assert door.ask(authorization="Bearer bob").status == 202


def test_each_request_is_kept_for_itself(door: Door) -> None:
    """Enrolled, withdrawn, enrolled again: all three count, and the time tells which is the last."""
    for ask in (Ask.ENROL, Ask.WITHDRAW, Ask.ENROL):
        assert door.ask(ask).status == 202
        door.clock.advance(1)
    told = [(task.kind, json.loads(task.subject)["asked_at"]) for task in door.queue.tasks.values()]
    assert [kind for kind, _ in sorted(told, key=lambda each: each[1])] == ["enrol", "withdraw", "enrol"]


def test_what_is_not_kept_is_not_accepted_and_takes_no_turn(door: Door) -> None:
    door.queue.answers = False
    for _ in range(3 * MOST_AN_HOUR):
        with pytest.raises(Transient):
            door.ask()
    door.queue.answers = True
    assert door.ask().status == 202


def test_a_door_remembers_no_more_callers_than_it_has_room_for(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.admit._CALLERS", 2)
    people: list[Callable[[], Answer]] = []
    for name in ("a", "b", "c"):
        door.proofs.known[name] = Person(f"{name}@example.com", "example.com")
        people.append(lambda name=name: door.ask(authorization=f"Bearer {name}"))  # type: ignore[misc]
    for ask in people * 2:
        assert ask().status == 202
    assert len(door.admission._made) == 2
