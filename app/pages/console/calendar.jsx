// A person's month: a grid of days where there is room, a list of days on a phone.
import { useMemo, useState } from 'preact/hooks';
import { useLive } from './live.js';
import { Answer, Badge, Dialog, Panel } from './parts.jsx';
import MONTH from './queries/Month.graphql';
import { dayName, describe, full, monthName, number, plural, PLATFORMS, shortClock, timeZone } from './words.js';

const SHOWN = 3; // posts in a day's square; the day itself shows all
const WEEKDAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

const { pictures } = JSON.parse(document.getElementById('settings').textContent);
const dayKey = (date) => `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;

// The days of a month with those of its neighbours that fill its weeks, Monday first.
function daysOf(month) {
  const first = new Date(month.getFullYear(), month.getMonth(), 1);
  const start = new Date(first.getFullYear(), first.getMonth(), 1 - ((first.getDay() + 6) % 7));
  const days = [];
  for (let day = start; day.getMonth() === first.getMonth() || day < first || days.length % 7;) {
    days.push(day);
    day = new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1);
  }
  return days;
}

export function Calendar({ person }) {
  const [month, setMonth] = useState(() => new Date());
  const [after, setAfter] = useState(null);
  const [shown, setShown] = useState(null);
  const days = useMemo(() => daysOf(month), [month]);
  const end = days.at(-1);
  const from = days[0].toISOString();
  const to = new Date(end.getFullYear(), end.getMonth(), end.getDate() + 1).toISOString();
  const live = useLive(MONTH, { seconds: 10, variables: { id: person.id, from, to, after } });

  function turn(step) {
    setAfter(null);
    setMonth(step ? new Date(month.getFullYear(), month.getMonth() + step, 1) : new Date());
  }

  return (
    <Panel
      title={monthName(month)}
      wide
      aside={
        <div class="turn">
          <button type="button" aria-label="The month before" onClick={() => turn(-1)}>
            ‹
          </button>
          <button type="button" onClick={() => turn(0)}>
            Today
          </button>
          <button type="button" aria-label="The month after" onClick={() => turn(1)}>
            ›
          </button>
        </div>
      }
    >
      <Answer live={live} field="posts">
        {(posts) => (
          <>
            <Month days={days} month={month} posts={posts.nodes} onShow={setShown} />
            <Rest posts={posts} after={after} onTurn={setAfter} />
          </>
        )}
      </Answer>
      {shown && <Shown {...shown} onClosed={() => setShown(null)} />}
    </Panel>
  );
}

function Month({ days, month, posts, onShow }) {
  const byDay = Map.groupBy(posts, (post) => dayKey(new Date(post.scheduledAt)));
  return (
    <>
      <div class="weekdays" aria-hidden="true">
        {WEEKDAYS.map((name) => (
          <span key={name}>{name}</span>
        ))}
      </div>
      <ol class="month">
        {days.map((day) => (
          <Day
            key={dayKey(day)}
            day={day}
            isOutside={day.getMonth() !== month.getMonth()}
            posts={byDay.get(dayKey(day)) ?? []}
            onShow={onShow}
          />
        ))}
      </ol>
      {!posts.length && <p class="quiet">No post in this month.</p>}
    </>
  );
}

function Day({ day, isOutside, posts, onShow }) {
  const isToday = dayKey(day) === dayKey(new Date());
  const classes = ['day', isOutside && 'outside', isToday && 'today', !posts.length && 'free']
    .filter(Boolean)
    .join(' ');
  return (
    <li class={classes}>
      <h3>
        <span class="of-grid" aria-hidden="true">
          {day.getDate()}
        </span>
        <span class="of-list">{dayName(day)}</span>
      </h3>
      {posts.slice(0, SHOWN).map((post) => (
        <button
          key={post.id}
          type="button"
          class={`post ${describe(post.status).tone}`}
          onClick={() => onShow({ title: full(post.scheduledAt), posts: [post] })}
        >
          <Thumbnail media={post.media} />
          <span class="what">
            <span>
              {shortClock(post.scheduledAt)}{' '}
              <span class="sign" aria-hidden="true">
                {describe(post.status).sign}
              </span>
              <span class="unseen">{describe(post.status).label}: </span>
            </span>
            <span class="caption">{post.caption || 'No caption'}</span>
          </span>
        </button>
      ))}
      {posts.length > SHOWN && (
        <button type="button" class="plain" onClick={() => onShow({ title: dayName(day), posts })}>
          + {number(posts.length - SHOWN)} more<span class="unseen"> on {dayName(day)}</span>
        </button>
      )}
    </li>
  );
}

function Rest({ posts, after, onTurn }) {
  return (
    <p class="quiet line">
      <span>
        Times in {timeZone()}.{' '}
        {posts.totalCount > posts.nodes.length &&
          `${plural(posts.nodes.length, 'post')} of ${number(posts.totalCount)}, by time.`}
      </span>
      {after && (
        <button type="button" onClick={() => onTurn(null)}>
          From the start
        </button>
      )}
      {posts.pageInfo.hasNextPage && (
        <button type="button" onClick={() => onTurn(posts.pageInfo.endCursor)}>
          Later ones
        </button>
      )}
    </p>
  );
}

// Only pictures that Crier itself serves are loaded: nobody else is to learn that an operator looked.
function Thumbnail({ media }) {
  const [first] = media;
  if (!first) return null;
  const isOurs = pictures.some((origin) => first.url.startsWith(`${origin}/`));
  if (first.kind === 'IMAGE' && isOurs) return <img src={first.url} alt="" loading="lazy" width={32} height={32} />;
  return (
    <span class="thumb" aria-hidden="true">
      {first.kind === 'IMAGE' ? '▨' : '▶'}
    </span>
  );
}

function Shown({ title, posts, onClosed }) {
  return (
    <Dialog title={title} onClosed={onClosed}>
      {(close) => (
        <>
          {posts.map((post) => (
            <article key={post.id} class="shown">
              <p class="line">
                <Badge state={post.status} /> <span class="quiet">{shortClock(post.scheduledAt)}</span>
              </p>
              <p class="caption">{post.caption || <em class="quiet">No caption</em>}</p>
              {post.link && <p class="quiet break">{post.link}</p>}
              {post.media.length > 0 && (
                <ul class="media">
                  {post.media.map((medium) => (
                    <li key={medium.id}>
                      <Thumbnail media={[medium]} />
                      <span>
                        {medium.kind === 'IMAGE' ? 'Picture' : 'Video'}
                        <small class="quiet">{medium.altText ?? new URL(medium.url).host}</small>
                      </span>
                    </li>
                  ))}
                </ul>
              )}
              <ul class="rows">
                {post.targets.map((target) => (
                  <Target key={target.id} target={target} />
                ))}
              </ul>
              <p class="mono quiet break">{post.id}</p>
            </article>
          ))}
          <div class="actions">
            <button type="button" onClick={close}>
              Close
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}

function Target({ target }) {
  const said = target.lastError ? `${target.lastError.code}: ${target.lastError.message}` : target.waitingFor?.message;
  return (
    <li>
      <span>
        {target.account.handle} on {PLATFORMS[target.platform]}
        {said && <small class="quiet">{said}</small>}
        {target.permalink && (
          <small>
            <a href={target.permalink} target="_blank" rel="noreferrer noopener">
              See it there
            </a>
          </small>
        )}
      </span>
      <Badge state={target.status} />
    </li>
  );
}
