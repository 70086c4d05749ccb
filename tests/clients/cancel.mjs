// Calls a post off, so that there is a change to watch.
const { CRIER_URL, CRIER_TOKEN } = process.env;

export async function cancel({ id, version }) {
  const response = await fetch(`${CRIER_URL}/graphql`, {
    method: "POST",
    headers: { authorization: `Bearer ${CRIER_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({
      query: "mutation ($input: CancelPostInput!) { cancelPost(input: $input) { userErrors { message } } }",
      variables: { input: { id, expectedVersion: version } },
    }),
  });
  const { data, errors } = await response.json();
  const [problem] = errors ?? data.cancelPost.userErrors;
  if (problem) throw new Error(problem.message);
}
