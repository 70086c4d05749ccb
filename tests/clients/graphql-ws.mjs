// Subscriptions over WebSocket, by the protocol's own client: what is still to come, then every change.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { cancel } from "./cancel.mjs";

const { CRIER_URL, CRIER_TOKEN } = process.env;

const client = createClient({
  url: `${CRIER_URL.replace("http", "ws")}/graphql`,
  webSocketImpl: WebSocket,
  // A function is asked anew for each connection, so that a reconnect after 4403 brings a fresh token.
  connectionParams: async () => ({ authorization: `Bearer ${CRIER_TOKEN}` }),
});

const seen = [];
for await (const { data, errors } of client.iterate({ query: "subscription { postsChanged { id version status } }" })) {
  if (errors) throw new Error(errors[0].message);
  const { postsChanged: post } = data;
  seen.push(post.status);
  if (post.status === "CANCELED") break;
  if (seen.length === 1) await cancel(post);
}
await client.dispose();

console.log(JSON.stringify({ seen }));
