// Everybody's accounts by platform and state: who will have to connect anew, and when the next token ends.
import { useLive } from './live.js';
import { Ago, Answer, Badge, Notice, Panel } from './parts.jsx';
import ACCOUNTS from './queries/Accounts.graphql';
import { number, PLATFORMS } from './words.js';

const STATES = ['CONNECTED', 'EXPIRING', 'EXPIRED', 'REVOKED', 'DISCONNECTED'];

export function Accounts() {
  const live = useLive(ACCOUNTS, { seconds: 30 });
  return (
    <Panel title="Everybody’s accounts">
      <Answer live={live} field="accountGroups">
        {(groups) => <Table groups={groups} now={live.servedAt} />}
      </Answer>
    </Panel>
  );
}

function Table({ groups, now }) {
  if (!groups.length) return <Notice title="No account is connected">Nothing can be published for anybody yet.</Notice>;
  const platforms = Object.keys(PLATFORMS).filter((name) => groups.some((group) => group.platform === name));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Accounts by platform and state">
      <table>
        <thead>
          <tr>
            <th scope="col">State</th>
            {platforms.map((name) => (
              <th key={name} scope="col" class="figure">
                {PLATFORMS[name]}
              </th>
            ))}
            <th scope="col">Next token ends</th>
          </tr>
        </thead>
        <tbody>
          {STATES.map((state) => {
            const own = groups.filter((group) => group.status === state);
            return (
              <tr key={state}>
                <th scope="row">
                  <Badge state={state} />
                </th>
                {platforms.map((name) => (
                  <td key={name} class="figure">
                    {number(own.find((group) => group.platform === name)?.count ?? 0)}
                  </td>
                ))}
                <td>
                  <NextEnd groups={own} now={now} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function NextEnd({ groups, now }) {
  const ends = groups.flatMap((group) => group.nextExpiryAt ?? []).sort();
  return ends.length ? <Ago at={ends[0]} now={now} /> : <span class="quiet">–</span>;
}
