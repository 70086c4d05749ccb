// How things are said: moments, spans, numbers, and the states of the contract with a sign and a tone for each.

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'long' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const SHORT_CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });
const FULL = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
const DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long' });
const MONTH = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric' });
const NUMBER = new Intl.NumberFormat('en');
const STEPS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

export const clock = (moment) => CLOCK.format(new Date(moment));
export const shortClock = (moment) => SHORT_CLOCK.format(new Date(moment));
export const full = (moment) => FULL.format(new Date(moment));
export const dayName = (moment) => DAY.format(new Date(moment));
export const monthName = (moment) => MONTH.format(new Date(moment));
export const number = (value) => NUMBER.format(value);
export const percent = (share) => `${Math.round(100 * share)} %`;
export const timeZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

// `3 minutes ago`, `in 2 days`: from the server's clock, so that a wrong one here does no harm.
export function ago(moment, now) {
  const seconds = (new Date(moment) - (now ?? Date.now())) / 1000;
  if (Math.abs(seconds) < 2) return 'just now'; // the server tells its time in whole seconds
  const [unit, size] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? STEPS.at(-1);
  return RELATIVE.format(Math.round(seconds / size), unit);
}

export function span(seconds) {
  if (seconds < 0.05) return '0 s';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const [unit, size] = STEPS.find(([, length]) => seconds >= length);
  return seconds < 60
    ? `${Math.round(seconds)} s`
    : `${(seconds / size).toFixed(seconds / size < 10 ? 1 : 0)} ${unit[0]}`;
}

// `worker_0199a3c2…` is enough to tell one from another.
export const shortId = (id) => (id.length > 16 ? `${id.slice(0, id.indexOf('_') + 9)}…` : id);

// People in a sentence: by name where it is known.
const USER = /user_[0-9a-f]{32}/g;
export const findUsers = (texts) => [...new Set(texts.flatMap((text) => text?.match(USER) ?? []))].sort();
export const nameUsers = (text, names) => text?.replace(USER, (id) => names[id] ?? shortId(id));

export const PLATFORMS = { INSTAGRAM: 'Instagram', FACEBOOK: 'Facebook', YOUTUBE: 'YouTube' };

// Each state is told by a word, a sign and a tone; never by the tone alone.
const STATES = {
  ok: ['OK', '✓', 'good'],
  degraded: ['Degraded', '!', 'warn'],
  unfit: ['Unfit', '✕', 'bad'],

  CLOSED: ['Closed', '✓', 'good'],
  HALF_OPEN: ['Half open', '◐', 'warn'],
  OPEN: ['Open', '✕', 'bad'],

  CONNECTED: ['Connected', '✓', 'good'],
  EXPIRING: ['Expiring', '!', 'warn'],
  EXPIRED: ['Expired', '✕', 'bad'],
  REVOKED: ['Revoked', '✕', 'bad'],
  DISCONNECTED: ['Disconnected', '–', 'calm'],

  DRAFT: ['Draft', '✎', 'calm'],
  SCHEDULED: ['Scheduled', '◷', 'calm'],
  PUBLISHING: ['Publishing', '↑', 'busy'],
  RETRYING: ['Retrying', '↻', 'warn'],
  BLOCKED: ['Blocked', '■', 'warn'],
  UNCONFIRMED: ['Unconfirmed', '?', 'warn'],
  MISSED: ['Missed', '!', 'bad'],
  PARTIALLY_PUBLISHED: ['Partly published', '◑', 'warn'],
  PUBLISHED: ['Published', '✓', 'good'],
  FAILED: ['Failed', '✕', 'bad'],
  CANCELED: ['Canceled', '–', 'calm'],
};

export function describe(state) {
  const [label, sign, tone] = STATES[state] ?? [state, '·', 'calm'];
  return { label, sign, tone };
}
