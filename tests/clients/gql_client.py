"""gql, the Python client: schedule a post over HTTP, and watch it over WebSocket while it is called off.

CRIER_URL=http://127.0.0.1:8000 CRIER_TOKEN="$(cat .crier/demo-token)" python tests/clients/gql_client.py
"""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta

from gql import Client, gql
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

URL = f"{os.environ['CRIER_URL']}/graphql"
AUTHORIZATION = f"Bearer {os.environ['CRIER_TOKEN']}"

ACCOUNTS = gql("{ accounts { nodes { id platform } } }")
SCHEDULE = gql("""
    mutation Schedule($input: SchedulePostInput!) {
      schedulePost(input: $input) { post { id version } userErrors { code message field } }
    }
""")
CANCEL = gql("""
    mutation Cancel($input: CancelPostInput!) {
      cancelPost(input: $input) { post { status } userErrors { code message field } }
    }
""")
WATCH = gql("subscription Watch($id: ID!) { postChanged(id: $id) { status version } }")


async def main() -> None:
    """One post from its writing to its end; prints the states that were seen."""
    over_http = HTTPXAsyncTransport(URL, headers={"Authorization": AUTHORIZATION})
    over_socket = WebsocketsTransport(
        URL.replace("http", "ws", 1), init_payload={"authorization": AUTHORIZATION}, connect_args={"proxy": None}
    )
    async with (
        Client(transport=over_http, fetch_schema_from_transport=True) as http,
        Client(transport=over_socket) as socket,
    ):
        accounts = (await http.execute(ACCOUNTS))["accounts"]["nodes"]
        wish = {
            "caption": "Fresh bread at six.",
            "accountIds": [accounts[0]["id"]],
            "scheduledAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }
        scheduled = (await http.execute(SCHEDULE, variable_values={"input": wish}))["schedulePost"]
        assert not scheduled["userErrors"], scheduled["userErrors"]
        post = scheduled["post"]

        seen = []
        async for event in socket.subscribe(WATCH, variable_values={"id": post["id"]}):
            seen.append(event["postChanged"]["status"])
            if seen[-1] == "CANCELED":
                break
            cancel = {"id": post["id"], "expectedVersion": post["version"]}
            await http.execute(CANCEL, variable_values={"input": cancel})
    print(json.dumps({"seen": seen}))  # noqa: T201 - an example shows what it does


if __name__ == "__main__":
    asyncio.run(main())
