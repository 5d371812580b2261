"""What Google Cloud says of a deployment's own things, over HTTP from a stand-in."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from sync.errors import Misconfigured, Transient
from sync.google.console import Console, Job
from tests.contract.loopback import Answer, Asked, Loopback

QUEUE = "projects/p/locations/l/queues/q"
SECRET = "projects/p/secrets/zoom"


class Cloud(Loopback):
    """Answers by path; whatever is not there is a 404."""

    def __init__(self) -> None:
        self.told: dict[str, Answer] = {}
        super().__init__(lambda asked: self.told.get(asked.path.partition("?")[0], Answer(404)))


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def console(cloud: Cloud) -> Console:
    root = f"{cloud.url}/"
    return Console(lambda: "token", tasks_root=root, scheduler_root=root, secrets_root=root)


def test_the_state_of_a_queue_is_asked_for_as_whoever_runs_this(cloud: Cloud, console: Console) -> None:
    cloud.told[f"/v2/{QUEUE}"] = Answer(body={"name": QUEUE, "state": "PAUSED"})
    assert console.queue_state(QUEUE) == "PAUSED"
    [asked] = cloud.asked
    assert (asked.method, asked.headers["authorization"]) == ("GET", "Bearer token")


def test_jobs_are_told_by_where_they_post_and_how_they_ended(cloud: Cloud, console: Console) -> None:
    name = "projects/p/locations/l/jobs/calsync-"
    cloud.told["/v1/projects/p/locations/l/jobs"] = Answer(
        body={
            "jobs": [
                {
                    "name": f"{name}converge",
                    "state": "ENABLED",
                    "status": {},
                    "httpTarget": {"uri": "https://worker.example/jobs/converge"},
                },
                {
                    "name": f"{name}sweep",
                    "state": "PAUSED",
                    "status": {"code": 7},
                    "httpTarget": {"uri": "https://worker.example/jobs/sweep"},
                },
                {"name": "projects/p/locations/l/jobs/another", "state": "ENABLED", "pubsubTarget": {}},
            ]
        }
    )
    assert console.jobs("p", "l") == [
        Job("calsync-converge", "/jobs/converge", "ENABLED", 0),
        Job("calsync-sweep", "/jobs/sweep", "PAUSED", 7),
    ]


def test_where_there_are_no_jobs_there_are_none(cloud: Cloud, console: Console) -> None:
    cloud.told["/v1/projects/p/locations/l/jobs"] = Answer()
    assert console.jobs("p", "l") == []


def test_a_secret_tells_when_its_newest_version_was_added(cloud: Cloud, console: Console) -> None:
    path = f"/v1/{SECRET}/versions/latest"
    cloud.told[path] = Answer(body={"createTime": "2026-01-05T08:00:00.123456789Z"})
    made_at = datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp()
    assert console.secret_made_at(SECRET) == pytest.approx(made_at, abs=1)
    cloud.told[path] = Answer(body={"createTime": "once"})
    with pytest.raises(Transient, match="does not say when"):
        console.secret_made_at(SECRET)


USES: list[Callable[[Console], object]] = [
    lambda console: console.queue_state(QUEUE),
    lambda console: console.jobs("p", "l"),
    lambda console: console.secret_made_at(SECRET),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401), Misconfigured),
        (Answer(403, {"error": {"message": "SECRET"}}), Misconfigured),
        (Answer(404), Misconfigured),
        (Answer(500), Transient),
        (Answer(429), Transient),
        (Answer(302, location="http://127.0.0.1:9/"), Transient),
        (Answer(body=b"<html>"), Transient),
        (Answer(body=[]), Transient),
        (Answer(lost=True), Transient),
    ],
    ids=lambda value: getattr(value, "__name__", str(getattr(value, "status", value))),
)
def test_what_google_does_not_tell_is_an_error_of_ours(
    use: Callable[[Console], object], answer: Answer, error: type[Exception]
) -> None:
    def refuse(_: Asked) -> Answer:
        return answer

    with Loopback(refuse) as cloud:
        root = cloud.url
        console = Console(lambda: "token", tasks_root=root, scheduler_root=root, secrets_root=root)
        with pytest.raises(error) as caught:
            use(console)
        assert "SECRET" not in str(caught.value)
        assert len(cloud.asked) == 1
