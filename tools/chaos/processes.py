"""The processes of the world by name: killed, paused and started on purpose, and watched in case they end otherwise."""

import asyncio
import os
import resource
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tools.replica_set import Member
from tools.stack import Service, ServiceError

LOOK_SECONDS = 0.25
SAMPLE_SECONDS = 1.0
READY_SECONDS = 60.0


class Keeper:
    """`complaints` are ends that nobody brought about. Such a process is started again, as a supervisor would.

    `names` are the names of all processes by process id, ours as `self_name`.
    """

    def __init__(self, self_name: str) -> None:
        self.complaints: list[str] = []
        self.memory: defaultdict[str, list[int]] = defaultdict(list)  # resident bytes of the services
        self._self_name = self_name
        self._processes: dict[str, Member | Service] = {}
        self._meant_to_be_down: set[str] = set()
        self._served: set[str] = set()  # since they were launched

    def keep(self, processes: Mapping[str, Member | Service]) -> None:
        self._processes.update(processes)

    @property
    def names(self) -> dict[int, str]:
        pids = {one.process.pid: name for name, one in self._processes.items() if one.process}
        return {os.getpid(): self._self_name, **pids}

    def kill(self, name: str) -> None:
        """Kills it; it stays down until started."""
        self._meant_to_be_down.add(name)
        self._processes[name].kill()

    def pause(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    async def terminate(self, name: str) -> None:
        """Stops it as a deployment does: SIGTERM must end it with status 0 if it has begun to serve. It stays down until
        started.
        """
        self._meant_to_be_down.add(name)
        service = self._services[name]
        if (status := await asyncio.to_thread(service.stop)) != 0 and name in self._served:
            self.complaints.append(f"{name} ended with {status} on SIGTERM; see {service.log_file}")

    def start(self, name: str, **environment: str) -> None:
        """Starts it and returns at once. `environment` is for services, and for this run only. One that runs is left alone,
        because another would find its port taken.
        """
        self._meant_to_be_down.discard(name)
        if self._runs(name):
            return
        process = self._processes[name]
        if isinstance(process, Service):
            process.launch(**environment)
        else:
            process.launch()
        self._served.discard(name)

    def start_missing(self) -> None:
        for name in [name for name in self._processes if not self._runs(name)]:
            self.start(name)

    def stop_services(self) -> None:
        """Kills all at once. How they stop when asked is tried during the run."""
        for name, process in self._processes.items():
            if isinstance(process, Service) and process.process:
                self.kill(name)

    async def wait_until_ready(self, *names: str) -> None:
        """Waits until these services can serve, or all. Raises ServiceError if one cannot within READY_SECONDS."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
            deadline = asyncio.get_running_loop().time() + READY_SECONDS
            for name in names or self._services:
                service = self._services[name]
                while not await _is_ready(http, service):
                    if asyncio.get_running_loop().time() > deadline:
                        raise ServiceError(f"{name} is not ready after {READY_SECONDS:.0f} s; see {service.log_file}")
                    await asyncio.sleep(0.1)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._supervise()), asyncio.create_task(self._sample())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _supervise(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as http:
            while True:
                for name in self._processes:
                    if not self._runs(name) and name not in self._meant_to_be_down:
                        self._ended(name)
                for name, service in self._services.items():
                    if name not in self._served and self._runs(name) and await _is_ready(http, service):
                        self._served.add(name)
                await asyncio.sleep(LOOK_SECONDS)

    def _ended(self, name: str) -> None:
        """A service that does not find MongoDB when it starts ends with status 1, as it should."""
        process = self._processes[name]
        assert process.process is not None
        status = process.process.returncode
        if status != 1 or name in self._served or isinstance(process, Member):
            self.complaints.append(f"{name} ended by itself with {status}; see {process.log_file}")
        self.start(name)

    async def _sample(self) -> None:
        page = resource.getpagesize()
        while True:
            for name, service in self._services.items():
                if service.process and (pages := _resident_pages(service.process.pid)):
                    self.memory[name].append(pages * page)
            await asyncio.sleep(SAMPLE_SECONDS)

    @property
    def _services(self) -> dict[str, Service]:
        return {name: one for name, one in self._processes.items() if isinstance(one, Service)}

    def _runs(self, name: str) -> bool:
        process = self._processes[name].process
        return process is not None and process.poll() is None

    def _signal(self, name: str, number: signal.Signals) -> None:
        if process := self._processes[name].process:
            process.send_signal(number)


def _resident_pages(pid: int) -> int | None:
    """Returns None if there is no /proc, or no such process any more."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None


async def _is_ready(http: aiohttp.ClientSession, service: Service) -> bool:
    try:
        async with http.get(f"{service.url}/health/ready") as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
