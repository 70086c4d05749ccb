// The API with nothing but fetch: read page by page, change something, and tell the kinds of failure apart.
// CRIER_URL=http://127.0.0.1:8000 CRIER_TOKEN="$(cat .crier/demo-token)" node tests/clients/fetch.mjs
const { CRIER_URL, CRIER_TOKEN } = process.env;

/** The data of an answer. Throws what is nobody's input (no credentials, a timeout, …) with its code. */
async function ask(query, variables) {
  const response = await fetch(`${CRIER_URL}/graphql`, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json",
      authorization: `Bearer ${CRIER_TOKEN}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw Object.assign(new Error(errors[0].message), errors[0].extensions);
  return data;
}

/** Every post, one page after the other. */
async function* allPosts() {
  const page = `query Page($after: String) {
    posts(first: 2, after: $after, orderBy: CREATED_AT_ASC) {
      nodes { id caption status }
      pageInfo { hasNextPage endCursor }
    }
  }`;
  let after = null;
  do {
    const { posts } = await ask(page, { after });
    yield* posts.nodes;
    after = posts.pageInfo.hasNextPage ? posts.pageInfo.endCursor : null;
  } while (after);
}

const SCHEDULE = `mutation Schedule($input: SchedulePostInput!) {
  schedulePost(input: $input) { post { id status } userErrors { code message field } }
}`;

const { accounts } = await ask("{ accounts(first: 1) { nodes { id platform handle } } }");
const wish = {
  caption: "Fresh bread at six.",
  accountIds: [accounts.nodes[0].id],
  scheduledAt: new Date(Date.now() + 3_600_000).toISOString(),
  idempotencyKey: `bread-${Date.now()}`,
};

// The key makes it safe to send the same again, say after a connection broke: it gives the same post.
const first = (await ask(SCHEDULE, { input: wish })).schedulePost;
const again = (await ask(SCHEDULE, { input: wish })).schedulePost;

// What the person can mend comes as data, with the place in the input.
const past = { ...wish, scheduledAt: "2001-01-01T06:00:00Z", idempotencyKey: null };
const { userErrors } = (await ask(SCHEDULE, { input: past })).schedulePost;

// What nobody's input can mend is thrown.
const failure = await ask("{ queue { due } }").catch(({ code, retryable }) => ({ code, retryable }));

const captions = [];
for await (const post of allPosts()) captions.push(post.caption);

console.log(JSON.stringify({ isSame: first.post.id === again.post.id, userErrors, failure, captions }));
