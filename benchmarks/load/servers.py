"""The processes under load, and what their own metrics say of it."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "only-for-this-run"


@dataclass(frozen=True, slots=True)
class Reading:
    """The metrics of all API processes together, at one moment."""

    began: float
    ended: float
    cpu_seconds: float
    memory_megabytes: float
    operations: float
    statements: float
    pool_in_use: float
    pool_waits: float

    def since(self, before: "Reading") -> str:
        """What the stretch between two readings took, in words for a table."""
        seconds = self.began - before.ended
        operations = max(1.0, self.operations - before.operations)
        return (
            f"{(self.cpu_seconds - before.cpu_seconds) / seconds:5.2f} {self.memory_megabytes:6.0f} "
            f"{(self.statements - before.statements) / operations:6.2f} {self.pool_in_use:6.0f} "
            f"{self.pool_waits - before.pool_waits:6.0f}"
        )


HEADINGS = f"{'cores':>5} {'MB':>6} {'stm/op':>6} {'pool':>6} {'waits':>6}"


@asynccontextmanager
async def api_processes(count: int, *, database_url: str, redis_url: str, folder: str) -> AsyncIterator[list[int]]:
    """So many, each on a port of its own."""
    ports = [_free_port() for _ in range(count)]
    environment = {
        **os.environ,
        "ENVIRONMENT": "production",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEYS": "only-for-this-run-and-long-enough-to-be-one",
        "METRICS_TOKEN": TOKEN,
        "DATA_DIR": folder,
        "API_BUDGET": "1000000000",
        "SUBSCRIPTIONS_PER_VIEWER": "1000",
    }
    processes = []
    with open(f"{folder}/api.log", "wb") as log:  # noqa: PTH123 - before anything is measured
        for port in ports:
            order = [sys.executable, "-m", "app", "serve"]
            processes.append(subprocess.Popen(order, env=environment | {"PORT": str(port)}, stderr=log))
        try:
            for port in ports:
                await _until_ready(port)
            yield ports
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                await asyncio.to_thread(process.wait, 40)


async def read(ports: list[int]) -> Reading:
    """Ask all processes for their metrics."""
    began, numbers = time.perf_counter(), dict[str, float]()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20) as http:
        for port in ports:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).raise_for_status().text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    numbers[sample.name] = numbers.get(sample.name, 0.0) + sample.value
    return Reading(
        began=began,
        ended=time.perf_counter(),
        cpu_seconds=numbers["process_cpu_seconds_total"],
        memory_megabytes=numbers["process_resident_memory_bytes"] / 1e6,
        operations=numbers.get("crier_operation_statements_count", 0.0),
        statements=numbers.get("crier_operation_statements_sum", 0.0),
        pool_in_use=numbers["crier_pool_in_use"],
        pool_waits=numbers["crier_pool_waits_total"],
    )


async def _until_ready(port: int) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient() as http:
        while True:
            try:
                if (await http.get(f"http://127.0.0.1:{port}/api/v1/health")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
