// What operators did, the newest first.
import { useState } from 'preact/hooks';
import { useLive } from './live.js';
import { Ago, Answer, Notice, Panel } from './parts.jsx';
import AUDIT_LOG from './queries/AuditLog.graphql';
import { plural } from './words.js';

export function AuditLog() {
  const [before, setBefore] = useState([null]); // the cursors of the pages turned so far
  const live = useLive(AUDIT_LOG, { seconds: 5, variables: { after: before.at(-1) } });
  return (
    <Panel
      title="What operators did"
      wide
      aside={
        live.data?.auditLog && <span class="quiet">{plural(live.data.auditLog.totalCount, 'entry', 'entries')}</span>
      }
    >
      <Answer live={live} field="auditLog">
        {({ edges, pageInfo }) => (
          <>
            {edges.length ? <Entries edges={edges} now={live.servedAt} /> : <Notice title="Nobody did anything yet" />}
            <div class="actions">
              {before.length > 1 && (
                <button type="button" onClick={() => setBefore(before.slice(0, -1))}>
                  Newer
                </button>
              )}
              {pageInfo.hasNextPage && (
                <button type="button" onClick={() => setBefore([...before, pageInfo.endCursor])}>
                  Older
                </button>
              )}
            </div>
          </>
        )}
      </Answer>
    </Panel>
  );
}

function Entries({ edges, now }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Audit log">
      <table class="log">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">To what</th>
            <th scope="col">More</th>
          </tr>
        </thead>
        <tbody>
          {edges.map(({ cursor, node }) => (
            <tr key={cursor}>
              <td>
                <Ago at={node.at} now={now} />
              </td>
              <td>{node.actor?.name ?? <span class="quiet">somebody who is gone</span>}</td>
              <th scope="row">{node.action}</th>
              <td class="mono break">{node.subject}</td>
              <td class="mono quiet break">{tell(node.detail)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const tell = (detail) =>
  Object.entries(detail)
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(', ') : value}`)
    .join('; ');
