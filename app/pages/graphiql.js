// The GraphiQL page: example queries in tabs, subscriptions over graphql-transport-ws, and no token ever written to disk.
import './graphiql.css';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';

const { endpoint, token, examples } = JSON.parse(document.getElementById('settings').textContent);
const authorization = token ? { authorization: `Bearer ${token}` } : {};

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const name = ['graphql', 'json'].includes(label) ? label : 'editor';
    return new Worker(new URL(`./${name}.worker.js`, import.meta.url), { type: 'module' });
  },
};

// Tabs live as long as the visit, so that each one begins with examples that still work. GraphiQL's history stays, but it
// keeps the headers of every query, whatever `shouldPersistHeaders` says: this storage drops them.
const OF_THE_VISIT = ['graphiql:tabState', 'graphiql:query', 'graphiql:variables'];
const WITH_HEADERS = ['graphiql:tabState', 'graphiql:queries', 'graphiql:favorites'];

const placeOf = (key) => (OF_THE_VISIT.includes(key) ? sessionStorage : localStorage);
const withoutHeaders = (value) => JSON.stringify(JSON.parse(value), (name, part) => (name === 'headers' ? null : part));

const storage = {
  getItem: (key) => placeOf(key).getItem(key),
  removeItem: (key) => placeOf(key).removeItem(key),
  setItem(key, value) {
    if (key !== 'graphiql:headers') {
      placeOf(key).setItem(key, WITH_HEADERS.includes(key) ? withoutHeaders(value) : value);
    }
  },
  get length() {
    return localStorage.length + sessionStorage.length;
  },
  clear() {
    localStorage.clear();
    sessionStorage.clear();
  },
};

// Over a WebSocket the headers travel in `connection_init`, where names have a case: the server knows the lower one.
function withLowerCase(headers) {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
}

const socket = new URL(endpoint, location.href);
socket.protocol = socket.protocol.replace('http', 'ws');
const fetcher = createGraphiQLFetcher({
  url: endpoint,
  subscriptionUrl: socket.href,
  enableIncrementalDelivery: false,
});

// The examples run as they are: an account of the viewer's own and a time just ahead stand in for the placeholders.
async function findAccount() {
  const query = '{ accounts(filter: { platforms: [FACEBOOK] }, first: 1) { edges { node { id } } } }';
  try {
    const answer = await fetcher({ query }, { headers: authorization });
    return answer.data.accounts.edges[0].node.id;
  } catch {
    return 'acct_…';
  }
}

const account = token ? await findAccount() : 'acct_…';
const soon = new Date(Date.now() + 60_000).toISOString();
const headers = token ? JSON.stringify(authorization, null, 2) : '{\n  "authorization": "Bearer YOUR_API_KEY"\n}';

createRoot(document.getElementById('graphiql')).render(
  createElement(
    GraphiQL,
    {
      fetcher: (params, options) => fetcher(params, { ...options, headers: withLowerCase(options?.headers) }),
      storage,
      shouldPersistHeaders: false,
      showPersistHeadersSettings: false,
      defaultHeaders: headers,
      defaultTabs: examples.map(({ query, variables }) => ({
        query,
        variables: variables?.replace('ACCOUNT_ID', account).replace('IN_ONE_MINUTE', soon),
        headers,
      })),
      defaultEditorToolsVisibility: token ? 'variables' : 'headers',
    },
    createElement(GraphiQL.Logo, null, 'Crier'),
  ),
);
