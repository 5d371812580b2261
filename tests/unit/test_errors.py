"""The error tree is what its docstring draws: a reader may trust the picture."""

import re

from sync import errors


def classes() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SyncError)
    }


def test_the_picture_names_every_error_and_only_those() -> None:
    drawn = re.findall(r"^\W*([A-Z][A-Za-z]+)(?: {2,}|$)", errors.__doc__ or "", flags=re.MULTILINE)
    assert set(drawn) == set(classes())


def test_a_misconfiguration_names_every_problem_at_once() -> None:
    error = errors.Misconfigured(["SYNC_STORE is missing", "SYNC_QUEUE is missing"])
    assert error.problems == ("SYNC_STORE is missing", "SYNC_QUEUE is missing")
    assert "SYNC_STORE" in str(error)
    assert "SYNC_QUEUE" in str(error)
