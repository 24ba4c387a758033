"""The limit of open files is raised for the jobs, and where it cannot be, fewer jobs run at a time."""

import resource

import pytest

from aspool import WorkerSettings
from aspool.settings import Settings
from aspool.worker.descriptors import EACH, RESERVED, affordable, fitted, raised

ENDLESS = resource.RLIM_INFINITY


class Limits:
    """The limits of a process that is not this one."""

    def __init__(self, soft: int, hard: int, *, fixed: bool = False) -> None:
        self.now, self.fixed = (soft, hard), fixed

    def get(self, which: int) -> tuple[int, int]:
        assert which == resource.RLIMIT_NOFILE
        return self.now

    def set(self, which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        if self.fixed:
            raise ValueError("current limit exceeds maximum limit")
        self.now = limits


@pytest.fixture
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Limits:
    made = Limits(**request.param)
    monkeypatch.setattr(resource, "getrlimit", made.get)
    monkeypatch.setattr(resource, "setrlimit", made.set)
    return made


def given(soft: int, hard: int, *, fixed: bool = False) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("limits", [{"soft": soft, "hard": hard, "fixed": fixed}], indirect=True)


@pytest.mark.parametrize(
    ("concurrency", "soft", "hard", "limit"),
    [
        (100, 1024, 4096, 1024),  # it suffices
        (240, 1024, 4096, 1024),  # just so
        (241, 1024, 4096, 4096),
        (5000, 1024, 4096, 4096),  # not enough, but more
        (1000, 256, ENDLESS, RESERVED + EACH * 1000),
        (10**9, ENDLESS, ENDLESS, ENDLESS),
    ],
)
def test_the_limit_is_raised_if_need_be(concurrency: int, soft: int, hard: int, limit: int) -> None:
    assert raised(concurrency, soft, hard) == limit


@pytest.mark.parametrize(
    ("soft", "jobs"), [(1024, 240), (RESERVED + EACH, 1), (RESERVED, 1), (3, 1), (ENDLESS, float("inf"))]
)
def test_what_a_limit_affords(soft: int, jobs: float) -> None:
    assert affordable(soft) == jobs


@given(1024, 4096)
def test_as_many_jobs_as_asked_for(limits: Limits) -> None:
    settings = Settings(concurrency=1000, processes=3)
    assert fitted(settings) == (settings, None)
    assert limits.now == (4096, 4096)


@given(1024, 4096)
def test_fewer_jobs_and_it_is_said(limits: Limits) -> None:
    settings, sentence = fitted(Settings(concurrency=5000, processes=3))
    assert settings == Settings(concurrency=1008, processes=3)
    assert sentence is not None
    assert sentence.startswith("concurrency is 1008, not 5000: the process may open only 4096 files")
    assert "allow 20064 (LimitNOFILE= of systemd, ulimit -n)" in sentence


@given(256, 10_000, fixed=True)
def test_a_limit_that_cannot_be_raised(limits: Limits) -> None:
    settings, sentence = fitted(WorkerSettings(concurrency=100))
    assert settings.concurrency == 48
    assert sentence is not None
    assert "only 256 files" in sentence


def test_the_real_limits_suffice_for_one() -> None:
    assert fitted(WorkerSettings(concurrency=1)) == (WorkerSettings(concurrency=1), None)
