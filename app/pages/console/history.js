// What the queue was like since this page was opened; kept while views come and go.

const LONGEST = 900; // half an hour of answers
const points = [];

export const history = () => points;

export function remember({ data, servedAt }) {
  const queue = data.queue;
  if (!queue || points.at(-1)?.asOf === queue.asOf) return; // stale: nothing new is known
  points.push({ ...queue, at: servedAt.getTime() / 1000 });
  if (points.length > LONGEST) points.shift();
}
