// What failed lately, by reason; and sending it again.
import { useContext, useMemo, useState } from 'preact/hooks';
import { act } from './graphql.js';
import { Session, useLive } from './live.js';
import { Ago, Answer, Ask, Choice, Notice, Panel } from './parts.jsx';
import FAILURES from './queries/Failures.graphql';
import RETRY from './queries/RetryFailed.graphql';
import { number, plural, PLATFORMS } from './words.js';

const HOUR = 3_600_000;
const WINDOWS = [
  [HOUR, 'Hour'],
  [24 * HOUR, 'Day'],
  [168 * HOUR, 'Week'],
  [0, 'All'],
];

export function Failures() {
  const { apiKey } = useContext(Session);
  const [length, setLength] = useState(24 * HOUR);
  const [done, setDone] = useState(null);
  const since = useMemo(() => (length ? new Date(Date.now() - length).toISOString() : null), [length]);
  const live = useLive(FAILURES, { seconds: 5, variables: { since } });

  async function retry(filter) {
    const { count } = await act(apiKey, RETRY, { filter: { ...filter, failedSince: since } });
    setDone(count);
    await live.refresh();
  }

  return (
    <Panel
      title="Failures by reason"
      wide
      aside={<Choice label="Failed within the last" options={WINDOWS} value={length} onChange={setLength} />}
    >
      <p class="done" role="status">
        {done !== null && `${plural(done, 'target')} ${done === 1 ? 'is' : 'are'} sent again.`}
      </p>
      <Answer live={live} field="failures">
        {(groups) => <Groups groups={groups} live={live} retry={retry} />}
      </Answer>
    </Panel>
  );
}

function Groups({ groups, live, retry }) {
  if (!groups.length)
    return (
      <Notice title="Nothing has failed">
        Everything that was to go out in this time went out, or is still on its way.
      </Notice>
    );
  const total = groups.reduce((sum, group) => sum + group.count, 0);
  return (
    <>
      <ul class="cards failures">
        {groups.map((group) => (
          <li key={group.code + group.platform} class="card">
            <header>
              <h3>
                <span class="mono">{group.code}</span> <small class="quiet">{PLATFORMS[group.platform]}</small>
              </h3>
              <span class="count">{number(group.count)}</span>
            </header>
            <p class="said">“{group.message || 'Nothing was said.'}”</p>
            <div class="actions">
              {group.lastFailedAt && (
                <span class="quiet">
                  latest <Ago at={group.lastFailedAt} now={live.servedAt} />
                </span>
              )}
              <Retry
                group={group}
                count={group.count}
                act={() => retry({ codes: [group.code], platforms: [group.platform] })}
              />
            </div>
          </li>
        ))}
      </ul>
      {groups.length > 1 && (
        <div class="actions">
          <Retry count={total} act={() => retry({})} />
        </div>
      )}
    </>
  );
}

function Retry({ group, count, act: send }) {
  const what = group ? `${group.code} on ${PLATFORMS[group.platform]}` : 'all reasons';
  return (
    <Ask
      name={group ? 'Retry' : `Retry all ${number(count)}`}
      label={`Retry ${what}`}
      title={`Send ${plural(count, 'target')} again?`}
      tone="primary"
      act={send}
    >
      <p>
        Every target that failed in this time for <strong>{what}</strong> is due at once and tried anew. What meanwhile
        went out stays as it is.
      </p>
    </Ask>
  );
}
