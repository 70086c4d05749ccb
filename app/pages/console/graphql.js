// The one way in which this page talks to anybody: GraphQL over POST, at its own server.

const { endpoint } = JSON.parse(document.getElementById('settings').textContent);

// Why there is no answer: `code` is the API's own, or UNREACHABLE where nobody answered at all.
export class Trouble extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const PATIENCE = 15_000; // a server that says nothing for so long does not answer
const CREDENTIAL = ['UNAUTHENTICATED', 'FORBIDDEN'];

// Whether a session with this trouble has to end: the key is not, or no longer, an admin's.
export const isRefusal = (trouble) => CREDENTIAL.includes(trouble?.code);

// Gives `data`, the trouble of each root field that has none, and the server's own time, by which ages are told.
// Throws Trouble where there is nothing to show.
export async function ask(key, query, variables = {}, signal = undefined) {
  let response;
  let answer;
  try {
    response = await fetch(endpoint, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)].filter(Boolean)),
    });
    answer = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Trouble('UNREACHABLE', 'Crier does not answer.');
  }
  const troubles = {};
  for (const { message, path, extensions } of answer.errors ?? []) {
    troubles[path?.[0] ?? ''] ??= new Trouble(extensions?.code ?? 'INTERNAL', message);
  }
  const first = Object.values(troubles)[0];
  if (!answer.data || isRefusal(first)) throw first ?? new Trouble('INTERNAL', 'The answer was empty.');
  return { data: answer.data, troubles, servedAt: new Date(response.headers.get('date') ?? Date.now()) };
}

// Does something; what the operator can mend is thrown like everything else.
export async function act(key, mutation, variables) {
  const { data, troubles } = await ask(key, mutation, variables);
  const [payload] = Object.values(data);
  if (!payload) throw Object.values(troubles)[0] ?? new Trouble('INTERNAL', 'The answer was empty.');
  const [mendable] = payload.userErrors;
  if (mendable) throw new Trouble(mendable.code, mendable.message);
  return payload;
}
