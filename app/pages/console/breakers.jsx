// The circuit breakers, and the three things an operator may do to one.
import { useContext } from 'preact/hooks';
import { act } from './graphql.js';
import { Session, useLive } from './live.js';
import { Ago, Answer, Ask, Badge, Panel, Stale } from './parts.jsx';
import CLOSE from './queries/CloseBreaker.graphql';
import OPEN from './queries/OpenBreaker.graphql';
import OPERATORS from './queries/Operators.graphql';
import RESET from './queries/ResetBreaker.graphql';
import { describe, findUsers, nameUsers, PLATFORMS } from './words.js';

const MOVES = [
  [
    'Open',
    OPEN,
    'danger',
    'All calls to the platform are turned away until somebody closes or resets the breaker. Posts that come due wait; none is lost.',
    ['OPEN'],
  ],
  ['Close', CLOSE, 'primary', 'Calls pass again at once, whether or not the platform is well.', ['CLOSED']],
  ['Reset', RESET, 'primary', 'The breaker is closed, and its failures and past are forgotten.', []],
];

const platformOf = (name) => PLATFORMS[name.replace('-api', '').toUpperCase()] ?? name;

export function Breakers({ live }) {
  const names = useOperators(live.data?.circuitBreakers ?? []);
  return (
    <Panel title="Circuit breakers" wide>
      <Answer live={live} field="circuitBreakers">
        {(breakers) => (
          <ul class="cards">
            {breakers.map((breaker) => (
              <Breaker key={breaker.name} breaker={breaker} names={names} live={live} />
            ))}
          </ul>
        )}
      </Answer>
    </Panel>
  );
}

// The names of those who moved a breaker by hand; its past knows their ids.
function useOperators(breakers) {
  const told = breakers.flatMap((breaker) => [breaker.forcedBy, ...breaker.lastTransitions.map(({ reason }) => reason)]);
  const live = useLive(OPERATORS, { seconds: 30, variables: { ids: findUsers(told) } });
  return Object.fromEntries((live.data?.nodes ?? []).filter(Boolean).map(({ id, name }) => [id, name]));
}

function Breaker({ breaker, names, live }) {
  const { apiKey } = useContext(Session);
  const title = platformOf(breaker.name);
  return (
    <li class={`card ${describe(breaker.state).tone}`}>
      <header>
        <h3>
          {title} <small class="mono quiet">{breaker.name}</small>
        </h3>
        <span class="end">
          {breaker.isStale && <Stale>one process’s memory</Stale>}
          <Badge state={breaker.state} />
        </span>
      </header>
      <Facts breaker={breaker} names={names} now={live.servedAt} />
      <div class="actions">
        {MOVES.map(([move, mutation, tone, meaning, pointless]) => (
          <Ask
            key={move}
            name={move}
            label={`${move} the breaker of ${title}`}
            title={`${move} the breaker of ${title}?`}
            tone={tone}
            disabled={pointless.includes(breaker.state)}
            act={async () => {
              await act(apiKey, mutation, { name: breaker.name });
              await live.refresh();
            }}
          >
            <p>{meaning}</p>
          </Ask>
        ))}
      </div>
    </li>
  );
}

function Facts({ breaker, names, now }) {
  return (
    <dl class="facts">
      <div>
        <dt>Failures in a row</dt>
        <dd>
          {breaker.failures} of {breaker.threshold}
        </dd>
      </div>
      {breaker.openedAt && (
        <div>
          <dt>Open since</dt>
          <dd>
            <Ago at={breaker.openedAt} now={now} />
          </dd>
        </div>
      )}
      {breaker.nextProbeAt && (
        <div>
          <dt>Next probe</dt>
          <dd>
            <Ago at={breaker.nextProbeAt} now={now} />
          </dd>
        </div>
      )}
      {breaker.forcedBy && (
        <div>
          <dt>Opened by hand</dt>
          <dd title={breaker.forcedBy}>{nameUsers(breaker.forcedBy, names)}</dd>
        </div>
      )}
      {breaker.lastTransitions.slice(0, 2).map((change) => (
        <div key={change.at}>
          <dt>
            <Ago at={change.at} now={now} />
          </dt>
          <dd>
            {change.from !== change.to && `${describe(change.from).label} → `}
            {describe(change.to).label}
            <small class="quiet" title={change.reason}>
              {nameUsers(change.reason, names)}
            </small>
          </dd>
        </div>
      ))}
    </dl>
  );
}
