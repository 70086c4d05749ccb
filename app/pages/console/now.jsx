// What is going on at this moment.
import { Accounts } from './accounts.jsx';
import { Breakers } from './breakers.jsx';
import { QueueChart } from './chart.jsx';
import { useLive } from './live.js';
import { Ago, Answer, AsOf, Badge, Bar, Notice, Panel, Stale } from './parts.jsx';
import NOW from './queries/Now.graphql';
import { number, percent, shortId, span } from './words.js';

export function Now({ pulse }) {
  const live = useLive(NOW, { seconds: 4 });
  return (
    <div class="grid">
      <Panel title="Queue" wide aside={<AsOf at={pulse.data?.queue?.asOf} now={pulse.servedAt} />}>
        <Answer live={pulse} field="queue">
          {(queue) => <Queue queue={queue} />}
        </Answer>
      </Panel>
      <Breakers live={live} />
      <div class="stack">
        <Panel title="Workers" aside={<AsOf at={live.data?.workers?.[0]?.asOf} now={live.servedAt} />}>
          <Answer live={live} field="workers">
            {(workers) => <Workers workers={workers} now={live.servedAt} />}
          </Answer>
        </Panel>
        <Panel title="Cache" aside={live.data?.cacheStats?.isShared === false && <Stale>this process alone</Stale>}>
          <Answer live={live} field="cacheStats">
            {(stats) => <Cache resolvers={stats.resolvers} />}
          </Answer>
        </Panel>
        <Accounts />
      </div>
      <Panel title="Health" aside={live.data?.health && <Badge state={live.data.health.status} />}>
        <Answer live={live} field="health">
          {(health) => <Checks checks={health.checks} />}
        </Answer>
      </Panel>
    </div>
  );
}

const FIGURES = [
  ['due', 'Due', 'waiting for a worker'],
  ['publishing', 'Publishing', 'on their way'],
  ['retrying', 'Retrying', 'failed for now'],
  ['blocked', 'Blocked', 'account to reconnect'],
  ['unconfirmed', 'Unconfirmed', 'a person decides'],
  ['scheduled', 'Scheduled', 'their time will come'],
];

function Queue({ queue }) {
  const isLate = queue.latenessSeconds >= 5;
  return (
    <>
      <dl class="figures">
        <div class={isLate ? 'warn' : undefined}>
          <dt>Late by</dt>
          <dd>{span(queue.latenessSeconds)}</dd>
          <dd class="quiet">{isLate ? '! over 5 s' : 'on time'}</dd>
        </div>
        {FIGURES.map(([key, label, meaning]) => (
          <div key={key}>
            <dt>{label}</dt>
            <dd>{number(queue[key])}</dd>
            <dd class="quiet">{meaning}</dd>
          </div>
        ))}
      </dl>
      <QueueChart queue={queue} />
    </>
  );
}

const SILENT = 30_000; // from then on health says `degraded`

function Workers({ workers, now }) {
  if (!workers.length) {
    return (
      <Notice tone="warn" title="No worker was heard of within the last hour">
        Nothing is published until one runs: <code>python -m app worker</code>.
      </Notice>
    );
  }
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Workers">
      <table>
        <thead>
          <tr>
            <th scope="col">Worker</th>
            <th scope="col">Last beat</th>
            <th scope="col" class="figure">
              In hand
            </th>
            <th scope="col">Started</th>
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => (
            <tr key={worker.id}>
              <th scope="row" class="mono" title={worker.id}>
                {shortId(worker.id)}
              </th>
              <td class={now - new Date(worker.lastBeatAt) > SILENT ? 'warn' : undefined}>
                <span aria-hidden="true">{now - new Date(worker.lastBeatAt) > SILENT ? '! ' : '♥ '}</span>
                <Ago at={worker.lastBeatAt} now={now} />
              </td>
              <td class="figure">{number(worker.publishing)}</td>
              <td>
                <Ago at={worker.startedAt} now={now} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Checks({ checks }) {
  return (
    <ul class="rows">
      {checks.map((check) => (
        <li key={check.name}>
          <span>
            {check.name}
            {check.detail && <small class="quiet">{check.detail}</small>}
          </span>
          <span class="end">
            <small class="quiet figure">{check.latencyMs.toFixed(1)} ms</small>
            <Badge state={check.status} />
          </span>
        </li>
      ))}
    </ul>
  );
}

function Cache({ resolvers }) {
  if (!resolvers.length) return <p class="quiet">Nothing was asked for yet.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Cache by resolver">
      <table>
        <thead>
          <tr>
            <th scope="col">Resolver</th>
            <th scope="col">Hit rate</th>
            {['Hits', 'Stale', 'Misses', 'Errors', 'Too large'].map((name) => (
              <th key={name} scope="col" class="figure">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {resolvers.map((one) => (
            <tr key={one.resolver}>
              <th scope="row" class="mono">
                {one.resolver}
              </th>
              <td class="with-bar">
                <Bar label={`Hit rate of ${one.resolver}`} value={one.hitRate} most={1} text={percent(one.hitRate)} />
                <span class="figure">{percent(one.hitRate)}</span>
              </td>
              {['hits', 'stale', 'misses', 'errors', 'tooLarge'].map((key) => (
                <td key={key} class="figure">
                  {number(one[key])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
