import pytest
from splatmem import timing
from splatmem.timing import StageClock


class Time:
    """A clock that runs only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    stopped = Time()
    monkeypatch.setattr(timing, "time", stopped)
    return stopped


def test_stages_add_up(time: Time) -> None:
    clock = StageClock()
    for seconds in (1.0, 2.5):
        with clock.stage("read"):
            time.now += seconds
        time.now += 10.0  # between stages nothing is booked
    with clock.stage("write"):
        time.now += 0.5
    assert dict(clock.seconds) == {"read": 3.5, "write": 0.5}


def test_inner_time_counts_for_the_inner_stage_only(time: Time) -> None:
    clock = StageClock()
    with clock.stage("outer"):
        time.now += 1.0
        with clock.stage("inner"):
            time.now += 20.0
            with clock.stage("outer"):
                time.now += 300.0
        time.now += 4000.0
    assert dict(clock.seconds) == {"outer": 4301.0, "inner": 20.0}


def test_a_stage_that_fails_is_booked_and_left(time: Time) -> None:
    clock = StageClock()
    with clock.stage("outer"):
        with pytest.raises(KeyboardInterrupt), clock.stage("fill"):
            time.now += 2.0
            raise KeyboardInterrupt
        time.now += 1.0
    assert dict(clock.seconds) == {"fill": 2.0, "outer": 1.0}


def test_a_clock_goes_on_from_earlier_seconds(time: Time) -> None:
    earlier = {"read": 5.0}
    clock = StageClock(earlier)
    with clock.stage("read"):
        time.now += 1.0
    assert clock.seconds["read"] == 6.0
    assert earlier == {"read": 5.0}, "what was given is not changed"
    assert clock.seconds["never"] == 0.0
