// urql, with subscriptions over graphql-ws: watch a post while it is called off.
import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const { CRIER_URL, CRIER_TOKEN } = process.env;
const authorization = `Bearer ${CRIER_TOKEN}`;

const sockets = createClient({
  url: `${CRIER_URL.replace("http", "ws")}/graphql`,
  webSocketImpl: WebSocket, // browsers bring their own
  connectionParams: { authorization },
});

const client = new Client({
  url: `${CRIER_URL}/graphql`,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization } },
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
});

const NEXT = gql`
  query Next {
    posts(first: 1, filter: { statuses: [SCHEDULED] }) {
      nodes {
        id
        version
      }
    }
  }
`;
const CANCEL = gql`
  mutation Cancel($input: CancelPostInput!) {
    cancelPost(input: $input) {
      post {
        id
        status
      }
      userErrors {
        code
      }
    }
  }
`;
const WATCH = gql`
  subscription Watch($id: ID!) {
    postChanged(id: $id) {
      id
      status
    }
  }
`;

const { data, error } = await client.query(NEXT, {}).toPromise();
if (error) throw error;
const [post] = data.posts.nodes;

const seen = [];
await new Promise((resolve, reject) => {
  client.subscription(WATCH, { id: post.id }).subscribe(async (result) => {
    if (result.error) return reject(result.error);
    seen.push(result.data.postChanged.status);
    if (seen.length > 1) return resolve();
    const canceled = await client.mutation(CANCEL, { input: { id: post.id, expectedVersion: post.version } }).toPromise();
    if (canceled.error) reject(canceled.error);
  });
});
await sockets.dispose();

console.log(JSON.stringify({ seen }));
