"""The circuit breaker: when it opens, for how long, and what a probe changes."""

from tollgate.gateway.circuit import CLOSED, COOLDOWN, FAILURES, LONGEST_COOLDOWN, PROBE, WINDOW, Circuit

NOW = 1000.0


def failing(circuit: Circuit, times: int, now: float = NOW) -> Circuit:
    for _ in range(times):
        circuit = circuit.after_failure(now, None)
    return circuit


def test_opens_after_several_failures_in_a_window() -> None:
    assert not failing(CLOSED, FAILURES - 1).is_open(NOW)
    opened = failing(CLOSED, FAILURES)
    assert opened.is_open(NOW)
    assert not opened.is_open(NOW + COOLDOWN)


def test_more_successes_than_failures_keep_it_closed() -> None:
    mostly_fine = CLOSED
    for _ in range(10):
        mostly_fine = mostly_fine.after_failure(NOW, None, 2)
    assert not mostly_fine.is_open(NOW)
    mostly_dead = CLOSED
    for _ in range(FAILURES):
        mostly_dead = mostly_dead.after_failure(NOW, None, 1)
    assert mostly_dead.is_open(NOW)


def test_failures_of_an_earlier_window_do_not_count() -> None:
    assert not failing(failing(CLOSED, FAILURES - 1), FAILURES - 1, NOW + WINDOW).is_open(NOW + WINDOW)


def test_further_failures_do_not_extend_a_cooldown() -> None:
    opened = failing(CLOSED, FAILURES)
    assert failing(opened, 5, NOW + 1) == opened


def test_failed_probe_doubles_the_cooldown_up_to_a_limit() -> None:
    circuit, now, durations = failing(CLOSED, FAILURES), NOW, list[float]()
    for _ in range(6):
        now = circuit.open_until
        assert circuit.is_half_open(now)
        probed = circuit.as_probed(now)
        assert probed.is_open(now + PROBE - 1)
        circuit = probed.after_failure(now, None)
        durations.append(circuit.open_until - now)
    assert durations[:2] == [2 * COOLDOWN, 4 * COOLDOWN]
    assert durations[-1] == LONGEST_COOLDOWN


def test_wait_that_a_provider_asks_for_is_a_cooldown_without_a_probe() -> None:
    waiting = CLOSED.after_failure(NOW, 7)
    assert waiting.is_open(NOW + 6)
    assert not waiting.is_open(NOW + 7)
    assert not waiting.is_half_open(NOW + 7)
