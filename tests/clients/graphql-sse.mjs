// Subscriptions as an event stream, where WebSockets do not get through: graphql-sse in its distinct connections mode.
import { createClient } from "graphql-sse";

import { cancel } from "./cancel.mjs";

const { CRIER_URL, CRIER_TOKEN } = process.env;

const client = createClient({
  url: `${CRIER_URL}/graphql`,
  headers: () => ({ authorization: `Bearer ${CRIER_TOKEN}` }),
});

const seen = [];
for await (const { data, errors } of client.iterate({ query: "subscription { postsChanged { id version status } }" })) {
  if (errors) throw new Error(errors[0].message);
  const { postsChanged: post } = data;
  seen.push(post.status);
  if (post.status === "CANCELED") break;
  if (seen.length === 1) await cancel(post);
}
client.dispose();

console.log(JSON.stringify({ seen }));
