"""What is done to a running stack: one function a fault. When: `schedule`."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import redis

from executors.pools.queues import key_of, keys_of
from maestro.chaos import effects
from maestro.chaos.holds import Holds
from maestro.chaos.schedule import FaultKind, Injected, PlannedFault
from maestro.chaos.scratch import ScratchStack

QUEUE = "maestro"
UNACKED = "unacked"
MOST_DUPLICATED = 20
SHORT_PAUSE_SECONDS = (1.0, 5.0)
# Longer than a worker's lease: what it ran is taken back, and it comes back itself afterwards.
LONG_PAUSE_SECONDS = (17.0, 20.0)
LONG_PAUSE_SHARE = 0.4
# A lease, two looks of beat, and a while in the queue: then the next attempt of what it ran has begun.
STALL_SECONDS = 26.0
# What begins sooner after the stall follows another fault.
LEASE_SECONDS = 12.0
# How a backend of the database names itself in the process table, after the role and the database.
BACKEND = "postgres: maestro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """What a fault did."""

    detail: str
    """To whom, and how."""
    lasts_seconds: float = 0.0
    """For how long."""
    messages: int = 0
    """How many messages were copied."""
    forgets_commits: bool = False
    """Whether the database may have lost claims."""


class Pauses:
    """Processes that stand still, and will go on."""

    def __init__(self) -> None:
        self._timers: dict[psutil.Process, threading.Timer] = {}
        self._lock = threading.Lock()

    def pause(self, process: psutil.Process, seconds: float) -> None:
        """Stop a process for a while. Raises psutil.NoSuchProcess."""
        process.suspend()
        timer = threading.Timer(seconds, self._resume, (process,))
        timer.daemon = True
        with self._lock:
            self._timers[process] = timer
        timer.start()

    def resume(self, processes: Sequence[psutil.Process]) -> None:
        """Let some of them go on now."""
        for process in processes:
            with self._lock:
                timer = self._timers.get(process)
            if timer is not None:
                timer.cancel()
                self._resume(process)

    def resume_all(self) -> None:
        """Let all of them go on now."""
        with self._lock:
            waiting = list(self._timers)
        self.resume(waiting)

    def _resume(self, process: psutil.Process) -> None:
        with self._lock:
            self._timers.pop(process, None)
        try:
            process.resume()
        except psutil.NoSuchProcess:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What faults are done to."""

    stack: ScratchStack
    """The stack."""
    broker: redis.Redis
    """A client of its broker."""
    pauses: Pauses
    """Its processes that stand still."""
    holds: Holds
    """What an operator has paused."""


def inject(ground: Ground, planned: PlannedFault, seed: int) -> Injected | None:
    """Do a fault; return it, or None where there was nothing to hit just now."""
    at = time.time()
    try:
        blow = _FAULTS[planned.kind](ground, planned.chance(seed))
    except (psutil.NoSuchProcess, ProcessLookupError, redis.RedisError):
        # It ended a moment ago, or the broker is away because of the fault before.
        return None
    if blow is None:
        return None
    return Injected(
        kind=planned.kind,
        detail=blow.detail,
        at=at,
        until=time.time() + blow.lasts_seconds,
        messages=blow.messages,
        forgets_commits=blow.forgets_commits,
    )


def _kill_worker(ground: Ground, chance: random.Random) -> Blow | None:
    workers = ground.stack.processes("worker")
    whole_group = chance.random() < 0.5
    if not workers:
        return None
    victim = chance.choice(workers)
    if whole_group:
        os.killpg(victim.pid, signal.SIGKILL)
    else:
        victim.kill()
    return Blow(detail=f"worker, pid {victim.pid}{' and its children' if whole_group else ''}")


def _kill_child(ground: Ground, chance: random.Random) -> Blow | None:
    children = [child for worker in ground.stack.processes("worker") for child in worker.children()]
    if not children:
        return None
    victim = chance.choice(children)
    victim.kill()
    return Blow(detail=f"child of a worker, pid {victim.pid}")


def _kill_api(ground: Ground, chance: random.Random) -> Blow | None:
    return _end_server(ground, "api", signal.SIGKILL)


def _kill_beat(ground: Ground, chance: random.Random) -> Blow | None:
    return _end_server(ground, "beat", signal.SIGKILL)


def _flush_broker(ground: Ground, chance: random.Random) -> Blow:
    ground.broker.flushall()
    return Blow(detail="FLUSHALL")


def _restart_broker(ground: Ground, chance: random.Random) -> Blow | None:
    sent = chance.choice((signal.SIGKILL, signal.SIGTERM))
    return _end_server(ground, "valkey", sent)


def _restart_database(ground: Ground, chance: random.Random) -> Blow | None:
    sent = chance.choice((signal.SIGINT, signal.SIGQUIT))
    return _end_server(ground, "postgres", sent)


def _end_server(ground: Ground, name: str, sent: signal.Signals) -> Blow | None:
    for process in ground.stack.processes(name):
        process.send_signal(sent)
        return Blow(detail=f"{name}, {sent.name}", forgets_commits=name == "postgres" and sent is signal.SIGQUIT)
    return None


def _duplicate(ground: Ground, chance: random.Random) -> Blow | None:
    """Send messages a second time: some that wait, some that a worker has."""
    waiting = [json.loads(message) for key in keys_of(QUEUE) for message in ground.broker.lrange(key, 0, -1)]
    taken = [json.loads(delivery)[0] for delivery in ground.broker.hvals(UNACKED)]
    known = [*waiting, *taken]
    chosen = chance.sample(known, min(len(known), chance.randint(1, MOST_DUPLICATED)))
    if not chosen:
        return None
    for message in chosen:
        ground.broker.lpush(key_of(QUEUE, message["properties"]["priority"]), _again(message))
    return Blow(detail=f"{len(chosen)} messages", messages=len(chosen))


def _again(message: dict[str, Any]) -> str:
    """Return the same message as the broker would hold a second one: only its delivery tag differs."""
    return json.dumps(message | {"properties": message["properties"] | {"delivery_tag": str(uuid.uuid4())}})


def _reorder(ground: Ground, chance: random.Random) -> Blow | None:
    # Atomically: nobody sees the queue without them.
    keys = keys_of(QUEUE)
    shuffled = ground.broker.eval(_SHUFFLE, len(keys), *keys, chance.randrange(2**31))
    return Blow(detail=f"{shuffled} messages") if shuffled else None


_SHUFFLE = """
local shuffled = 0
math.randomseed(tonumber(ARGV[1]))
for _, key in ipairs(KEYS) do
    local waiting = redis.call('LRANGE', key, 0, -1)
    if #waiting > 1 then
        for last = #waiting, 2, -1 do
            local other = math.random(last)
            waiting[last], waiting[other] = waiting[other], waiting[last]
        end
        redis.call('DEL', key)
        for _, message in ipairs(waiting) do redis.call('RPUSH', key, message) end
        shuffled = shuffled + #waiting
    end
end
return shuffled
"""


def _pause(ground: Ground, chance: random.Random) -> Blow | None:
    name, find = chance.choice(list(_PAUSED.items()))
    seconds = round(
        chance.uniform(*(LONG_PAUSE_SECONDS if chance.random() < LONG_PAUSE_SHARE else SHORT_PAUSE_SECONDS)), 1
    )
    found = find(ground.stack)
    if not found:
        return None
    processes = chance.choice(found)
    return _suspend(ground, name, processes, seconds)


def _stall_worker(ground: Ground, chance: random.Random) -> Blow | None:
    """Let a worker stand still with what it runs until that was taken back, and has begun elsewhere."""
    found = _workers_with_children(ground.stack)
    if not found:
        return None
    processes = chance.choice(found)
    blow = _suspend(ground, "worker and its children", processes, STALL_SECONDS)
    threading.Thread(target=_resume_beside_successor, args=(ground, processes, time.time()), daemon=True).start()
    return blow


def _resume_beside_successor(ground: Ground, processes: list[psutil.Process], stalled_at: float) -> None:
    """Let a worker go on as soon as something it ran runs elsewhere too: its result must change nothing."""
    file = ground.stack.effects_file
    ran = {(effect.run_id, effect.task_key) for effect in effects.read(file) if effect.ended_at is None}
    time.sleep(LEASE_SECONDS)
    while time.time() < stalled_at + STALL_SECONDS:
        begun = [effect for effect in effects.read(file) if effect.begun_at > stalled_at + LEASE_SECONDS]
        if any((effect.run_id, effect.task_key) in ran and effect.ended_at is None for effect in begun):
            ground.pauses.resume(processes)
            return
        time.sleep(0.05)


def _suspend(ground: Ground, name: str, processes: list[psutil.Process], seconds: float) -> Blow:
    for process in processes:
        ground.pauses.pause(process, seconds)
    return Blow(detail=f"{name}, pid {processes[0].pid}, for {seconds:g} s", lasts_seconds=seconds)


def _hold(ground: Ground, chance: random.Random) -> Blow | None:
    held = ground.holds.hold(chance)
    if held is None:
        return None
    name, seconds = held
    return Blow(detail=f"{name}, for {seconds:g} s", lasts_seconds=seconds)


def _each(name: str) -> Callable[[ScratchStack], list[list[psutil.Process]]]:
    return lambda stack: [[process] for process in stack.processes(name)]


def _workers_with_children(stack: ScratchStack) -> list[list[psutil.Process]]:
    return [[worker, *worker.children()] for worker in stack.processes("worker")]


def _children_of_workers(stack: ScratchStack) -> list[list[psutil.Process]]:
    return [[child] for worker in stack.processes("worker") for child in worker.children()]


def _backends(stack: ScratchStack) -> list[list[psutil.Process]]:
    children = [child for server in stack.processes("postgres") for child in server.children()]
    return [[child] for child in children if " ".join(child.cmdline()).startswith(BACKEND)]


_PAUSED: Mapping[str, Callable[[ScratchStack], list[list[psutil.Process]]]] = {
    "worker": _each("worker"),
    "worker and its children": _workers_with_children,
    "child of a worker": _children_of_workers,
    "beat": _each("beat"),
    "valkey": _each("valkey"),
    "backend of postgres": _backends,
}
_FAULTS: Mapping[FaultKind, Callable[[Ground, random.Random], Blow | None]] = {
    FaultKind.KILL_WORKER: _kill_worker,
    FaultKind.KILL_CHILD: _kill_child,
    FaultKind.KILL_API: _kill_api,
    FaultKind.KILL_BEAT: _kill_beat,
    FaultKind.FLUSH_BROKER: _flush_broker,
    FaultKind.RESTART_BROKER: _restart_broker,
    FaultKind.RESTART_DATABASE: _restart_database,
    FaultKind.DUPLICATE: _duplicate,
    FaultKind.REORDER: _reorder,
    FaultKind.PAUSE: _pause,
    FaultKind.STALL_WORKER: _stall_worker,
    FaultKind.HOLD: _hold,
}
