// One person's world: what they may still publish, their accounts, their month.
import { useContext, useEffect, useState } from 'preact/hooks';
import { Calendar } from './calendar.jsx';
import { act } from './graphql.js';
import { Session, useLive } from './live.js';
import { Ago, Answer, AsOf, Ask, Badge, Bar, Notice, Panel } from './parts.jsx';
import PEOPLE from './queries/People.graphql';
import PERSON from './queries/Person.graphql';
import RESET from './queries/ResetRateLimit.graphql';
import { plural, PLATFORMS } from './words.js';

const PATIENCE = 250; // a search begins when typing pauses

export function People() {
  const [person, setPerson] = useState(null);
  return (
    <div class="two">
      <Finder chosen={person} onChoose={setPerson} />
      {person ? <World key={person.id} person={person} /> : <p class="quiet waiting">Choose somebody.</p>}
    </div>
  );
}

function Finder({ chosen, onChoose }) {
  const [typed, setTyped] = useState('');
  const [search, setSearch] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setSearch(typed.trim()), PATIENCE);
    return () => clearTimeout(timer);
  }, [typed]);
  const live = useLive(PEOPLE, { seconds: 30, variables: { search } });
  const users = live.data?.users?.nodes;
  useEffect(() => {
    if (!chosen && users?.length) onChoose(users.find((user) => user.role === 'PERSON') ?? users[0]);
  }, [users]);

  return (
    <Panel title="People">
      <label for="search" class="unseen">
        Name
      </label>
      <input
        id="search"
        type="search"
        placeholder="Find by name"
        value={typed}
        onInput={(event) => setTyped(event.target.value)}
      />
      <Answer live={live} field="users">
        {({ nodes, pageInfo }) => (
          <>
            {!nodes.length && <p class="quiet">Nobody has such a name.</p>}
            <ul class="names">
              {nodes.map((user) => (
                <li key={user.id}>
                  <button type="button" aria-pressed={user.id === chosen?.id} onClick={() => onChoose(user)}>
                    {user.name}
                    {user.role === 'ADMIN' && <small class="quiet">admin</small>}
                  </button>
                </li>
              ))}
            </ul>
            {pageInfo.hasNextPage && <p class="quiet">There are more: type a part of the name.</p>}
          </>
        )}
      </Answer>
    </Panel>
  );
}

function World({ person }) {
  const live = useLive(PERSON, { seconds: 10, variables: { id: person.id } });
  return (
    <div class="grid">
      <Panel
        title="Publications in this hour"
        aside={<AsOf at={live.data?.rateLimits?.[0]?.asOf} now={live.servedAt} />}
      >
        <Answer live={live} field="rateLimits">
          {(limits) => limits.map((limit) => <Limit key={limit.platform} limit={limit} person={person} live={live} />)}
        </Answer>
      </Panel>
      <Panel title="Accounts">
        <Answer live={live} field="accounts">
          {(accounts) => <Accounts accounts={accounts} now={live.servedAt} />}
        </Answer>
      </Panel>
      <Calendar person={person} />
    </div>
  );
}

function Limit({ limit, person, live }) {
  const { apiKey } = useContext(Session);
  const name = PLATFORMS[limit.platform];
  const isUsedUp = limit.remaining === 0;
  const text = `${limit.used} of ${limit.limit} used`;
  return (
    <div class="limit">
      <div class="line">
        <span>
          <strong>{name}</strong>
          <small class={isUsedUp ? 'warn' : 'quiet'}>
            {isUsedUp && <span aria-hidden="true">! </span>}
            {text}
            {limit.resetAt && (
              <>
                , next place <Ago at={limit.resetAt} now={live.servedAt} />
              </>
            )}
          </small>
        </span>
        <Ask
          name="Reset"
          label={`Reset the limit of ${person.name} on ${name}`}
          title={`Give ${person.name} the whole limit on ${name} again?`}
          tone="primary"
          disabled={!limit.used}
          act={async () => {
            await act(apiKey, RESET, { id: person.id, platform: limit.platform });
            await live.refresh();
          }}
        >
          <p>
            Crier forgets the {plural(limit.used, 'publication')} of this hour. The platform does not: where its own
            limit is reached, it will refuse.
          </p>
        </Ask>
      </div>
      <Bar
        label={`${name}: publications in this hour`}
        value={limit.used}
        most={limit.limit}
        text={text}
        tone={isUsedUp ? 'full' : undefined}
      />
    </div>
  );
}

function Accounts({ accounts, now }) {
  if (!accounts.nodes.length)
    return <Notice title="No account is connected">Nothing can be published for this person yet.</Notice>;
  return (
    <>
      <ul class="rows">
        {accounts.nodes.map((account) => (
          <li key={account.id}>
            <span>
              {account.displayName}
              <small class="quiet">
                {account.handle} on {PLATFORMS[account.platform]}
              </small>
            </span>
            <span class="end">
              <small class="quiet">
                {account.expiresAt ? <Expiry at={account.expiresAt} now={now} /> : 'no expiry'}
              </small>
              <Badge state={account.status} />
            </span>
          </li>
        ))}
      </ul>
      {accounts.totalCount > accounts.nodes.length && (
        <p class="quiet">{plural(accounts.totalCount, 'account')} in all.</p>
      )}
    </>
  );
}

function Expiry({ at, now }) {
  return (
    <>
      {new Date(at) < now ? 'token ended' : 'token ends'} <Ago at={at} now={now} />
    </>
  );
}
