"""The gate: a Redis that is gone costs one time-out, and comes back by itself."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from services.backends.redis import RedisAway, RedisGate
from tests.faulty import FaultyNetwork, OwnRedis


def ping(client: Redis) -> Any:
    """The cheapest call."""
    return client.ping()


async def until_back(gate: RedisGate) -> None:
    """Wait until the gate has found Redis again."""
    async with asyncio.timeout(5):
        while gate.is_away:
            await asyncio.sleep(0.01)


async def test_frozen_redis_costs_one_time_out(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """The first caller waits for its time-out; a thousand after it are refused at once."""
    own_redis.freeze()
    with pytest.raises(RedisAway):
        await own_gate.run(ping)

    began = time.monotonic()
    for _ in range(1000):
        with pytest.raises(RedisAway):
            await own_gate.run(ping)
    assert time.monotonic() - began < 2  # a time-out each would be 200
    own_redis.thaw()
    await until_back(own_gate)
    assert await own_gate.run(ping)


async def test_waiting_line_is_refused_with_the_first_time_out(own_redis: OwnRedis) -> None:
    """Whoever waits for one of two connections when Redis freezes is not made to wait for a time-out in turn."""
    gate = RedisGate(url=own_redis.url, max_connections=2, timeout=timedelta(seconds=1))
    await gate.open()
    own_redis.freeze()
    began = time.monotonic()
    outcomes = await asyncio.gather(*(gate.run(ping) for _ in range(20)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {RedisAway}
    assert time.monotonic() - began < 1.9  # in turn they would take 5, and the line is refused after that
    own_redis.thaw()
    await gate.close()


async def test_dead_redis_is_found_again(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """Killed and started again: refused meanwhile, and the warm pool's dead connections are nobody's problem. The log
    says why, once, and that it is over."""
    with capture_logs() as told:
        await asyncio.gather(*(own_gate.run(ping) for _ in range(10)))
        own_redis.kill()
        for _ in range(2):
            with pytest.raises(RedisAway):
                await own_gate.run(ping)
        assert own_gate.is_away
        own_redis.start()
        await until_back(own_gate)
        assert all(await asyncio.gather(*(own_gate.run(ping) for _ in range(20))))
    assert [line["event"] for line in told] == ["redis.away", "redis.back"]
    assert "Error: " in told[0]["reason"]


async def test_restart_between_two_calls_goes_unnoticed(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """A connection that broke while idle is replaced within the call, on both roads."""
    await asyncio.gather(*(own_gate.run(ping) for _ in range(5)), *(own_gate.read_many(("a",)) for _ in range(5)))
    own_redis.kill()
    await asyncio.sleep(0.05)
    own_redis.start()
    assert await own_gate.run(ping)
    assert await own_gate.read_many(("a", "b")) == [None, None]
    assert not own_gate.is_away


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
"""Crier runs on uvloop, which tells of a broken connection in words of its own."""


async def use_all(gate: RedisGate) -> list[Any]:
    """Five answers by each road, at once."""
    roads = [gate.run(ping) for _ in range(5)] + [gate.read_many(("a",)) for _ in range(5)]
    return await asyncio.gather(*roads, return_exceptions=True)


@pytest.mark.parametrize("end", ["closed", "reset"])
@pytest.mark.parametrize("loop", LOOPS)
def test_connections_that_broke_while_idle_are_replaced_unnoticed(own_redis: OwnRedis, loop: str, end: str) -> None:
    """Over TCP: closed in good order, by Redis or by a time-out on the way, or reset."""

    async def break_all() -> None:
        async with FaultyNetwork(host=str(own_redis.socket)) as network:
            gate = RedisGate(url=f"redis://127.0.0.1:{network.port}", timeout=timedelta(seconds=5))
            answers = await use_all(gate)
            if end == "reset":
                network.cut()
            else:
                own_redis.kill()
                own_redis.start()
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert await use_all(gate) == answers == [True] * 5 + [[None]] * 5
            assert gate.outages == 0
            await gate.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(break_all())


@pytest.mark.parametrize("loop", LOOPS)
def test_connection_that_breaks_at_any_moment_of_a_call_is_an_outage(own_redis: OwnRedis, loop: str) -> None:
    """Callers that come by and by while connections are reset: each is answered or told that Redis is away."""

    async def come_by_and_by() -> set[type]:
        async with FaultyNetwork(host=str(own_redis.socket)) as network:
            gate = RedisGate(url=f"redis://127.0.0.1:{network.port}", timeout=timedelta(seconds=5))

            async def come(turns: int) -> list[Any]:
                for _ in range(turns):
                    await asyncio.sleep(0)
                return await use_all(gate)

            ends: set[type] = set()
            for _ in range(10):
                await use_all(gate)
                network.cut()
                for outcomes in await asyncio.gather(*(come(turns) for turns in range(8))):
                    ends |= {type(outcome) for outcome in outcomes}
                await until_back(gate)
            await gate.close()
            return ends

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(come_by_and_by()) <= {bool, list, RedisAway}


async def test_start_without_redis(tmp_path: Any) -> None:
    """Crier starts while Redis is away, and finds it later."""
    server = OwnRedis(tmp_path)
    gate = RedisGate(url=server.url, settle=timedelta(0))
    await gate.open()
    assert gate.is_away
    server.start()
    await until_back(gate)
    assert await gate.run(ping)
    await gate.close()
    server.kill()


async def test_gate_distrusts_redis_for_a_while_after_an_outage(own_redis: OwnRedis) -> None:
    """What Redis missed has to be made good first; a gate that saw no outage trusts it from the start."""
    gate = RedisGate(url=own_redis.url, settle=timedelta(milliseconds=300))
    await gate.open()
    assert gate.is_settled
    own_redis.kill()
    with pytest.raises(RedisAway):
        await gate.run(ping)
    own_redis.start()
    await until_back(gate)
    assert not gate.is_settled
    assert await gate.run(ping)
    await asyncio.sleep(0.3)
    assert gate.is_settled
    await gate.close()


async def test_refusal_by_redis_is_no_outage(gate: RedisGate) -> None:
    """A wrong command is the caller's mistake."""
    with pytest.raises(ResponseError):
        await gate.run(lambda client: client.execute_command("NONSENSE"))  # type: ignore[no-untyped-call] # theirs
    assert not gate.is_away


async def test_redis_that_cannot_save_is_as_good_as_away(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """It refuses every write, so that no tag can be raised there; what it has is left alone until it can save again."""
    client = own_gate.client
    in_the_way = Path((await client.config_get("dir"))["dir"], "dump.rdb")
    in_the_way.mkdir()
    await client.config_set("save", "3600 1")
    await client.bgsave()
    async with asyncio.timeout(5):
        while (await client.info("persistence"))["rdb_last_bgsave_status"] == "ok":
            await asyncio.sleep(0.02)

    with pytest.raises(RedisAway):
        await own_gate.run(lambda client: client.set("key", "value"))
    await asyncio.sleep(0.05)
    assert own_gate.is_away

    in_the_way.rmdir()
    await client.config_set("save", "")
    await until_back(own_gate)
    assert await own_gate.run(lambda client: client.set("key", "value"))


async def test_redis_that_lets_nobody_in_is_as_good_as_away() -> None:
    """In protected mode it says so to all from other machines, whatever is asked; Crier starts all the same."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        gate = RedisGate(url=f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        await gate.open()
        with pytest.raises(RedisAway):
            await gate.run(ping)
        assert gate.is_away
        await gate.close()


async def test_busy_pool_is_no_outage(own_redis: OwnRedis) -> None:
    """Who finds every connection taken is refused soon; Redis is not declared away for it."""
    gate = RedisGate(url=own_redis.url, max_connections=2, timeout=timedelta(milliseconds=20))
    holding = [asyncio.create_task(gate.run(lambda _: asyncio.sleep(0.3))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RedisAway):
        await gate.run(ping)
    assert not gate.is_away
    await asyncio.gather(*holding)
    assert await gate.run(ping)
    await gate.close()


async def test_cancelled_caller_is_cancelled_whatever_the_client_says(own_redis: OwnRedis) -> None:
    """A cancellation is never turned into an outage, at whatever moment of a failing call it comes."""
    own_redis.freeze()
    for moment in range(30):
        gate = RedisGate(url=own_redis.url, timeout=timedelta(milliseconds=40))
        task = asyncio.create_task(gate.run(ping))
        await asyncio.sleep(moment * 0.0015)
        is_too_late = not task.cancel()
        with pytest.raises((asyncio.CancelledError, RedisAway)) as ended:
            await task
        assert is_too_late or ended.type is asyncio.CancelledError
        assert gate.is_away == is_too_late
        await gate.close()


async def test_busy_process_is_no_outage(own_gate: RedisGate) -> None:
    """Where this process itself had no time for an answer, that caller goes without; Redis is not declared away."""

    async def hold_everything_up(client: Redis) -> None:
        asyncio.get_running_loop().call_soon(time.sleep, 1.0)
        await client.blpop(["nothing"], 10)

    with pytest.raises(RedisAway):
        await own_gate.run(hold_everything_up)
    assert not own_gate.is_away
    assert await own_gate.run(ping)


async def test_cancelled_callers_never_leave_their_answer_to_others(own_redis: OwnRedis) -> None:
    """Through a slow network, half of 600 callers cancelled at any moment: each of the others gets its own value."""
    async with FaultyNetwork(host=str(own_redis.socket), delay=0.003) as network:
        gate = RedisGate(url=f"redis://127.0.0.1:{network.port}", max_connections=5, timeout=timedelta(seconds=30))
        await gate.run(lambda client: client.mset({f"key:{n}": n for n in range(600)}))

        async def read(n: int) -> bytes | str | None:
            if n % 4 < 2:
                return await gate.run(lambda client: client.get(f"key:{n}"))
            return (await gate.read_many((f"key:{n}",)))[0]

        tasks = [asyncio.create_task(read(n)) for n in range(600)]
        for n in range(0, 600, 2):
            await asyncio.sleep(0.0005)
            tasks[n].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        cancelled = sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert 50 < cancelled <= 300
        assert all(
            outcome == str(n).encode() or (n % 2 == 0 and isinstance(outcome, asyncio.CancelledError))
            for n, outcome in enumerate(outcomes)
        )
        assert await asyncio.gather(*(read(n) for n in range(50))) == [str(n).encode() for n in range(50)]
        await gate.close()
