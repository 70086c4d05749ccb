// What every view is made of.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { ago, clock, describe, full } from './words.js';

// One part of a view, with its name, and what there is to say about its freshness.
export function Panel({ title, aside, children, wide }) {
  const id = useId();
  return (
    <section class={wide ? 'panel wide' : 'panel'} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

export function Badge({ state }) {
  const { label, sign, tone } = describe(state);
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true" class="sign">
        {sign}
      </span>
      {label}
    </span>
  );
}

// A moment as people say it; the exact one is at hand.
export function Ago({ at, now }) {
  return (
    <time dateTime={at} title={full(at)}>
      {ago(at, now)}
    </time>
  );
}

export function Bar({ label, value, most, text, tone }) {
  return (
    <div
      class="bar"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={most}
      aria-valuenow={value}
      aria-valuetext={text}
    >
      <div class={tone} style={{ width: `${most ? Math.min(100, (100 * value) / most) : 0}%` }} />
    </div>
  );
}

// Said where the API says it: figures of one process alone, or of before something went away.
export function Stale({ children }) {
  return (
    <span class="badge stale">
      <span aria-hidden="true" class="sign">
        ◌
      </span>
      Stale<span class="more">{children}</span>
    </span>
  );
}

const MOMENT = 5_000;

// Nothing where a figure is of now; else since when it is not.
export function AsOf({ at, now }) {
  if (!at || !now || now - new Date(at) < MOMENT) return null;
  return <Stale>as of {clock(at)}</Stale>;
}

// What stands in a panel: the answer, dimmed while another one is awaited; or why there is none; or that it is to come.
export function Answer({ live, field, children }) {
  const value = live.data?.[field];
  const trouble = live.troubles[field] ?? (live.data ? null : live.failing);
  if (trouble)
    return (
      <Notice tone="bad" title="This cannot be shown now">
        {trouble.message}
      </Notice>
    );
  if (value === undefined || value === null) return <p class="quiet waiting">Loading …</p>;
  return (
    <div class={live.isCurrent ? undefined : 'old'} aria-busy={!live.isCurrent}>
      {children(value)}
    </div>
  );
}

export function Notice({ title, tone = 'calm', children }) {
  return (
    <div class={`notice ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
      <strong>{title}</strong>
      {children && <p>{children}</p>}
    </div>
  );
}

// One of a few choices; a row of radio buttons that looks like a switch.
export function Choice({ label, options, value, onChange }) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class="unseen">{label}</legend>
      {options.map(([key, text]) => (
        <label key={key}>
          <input type="radio" name={name} checked={key === value} onChange={() => onChange(key)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

// A window over the page, until its own `close` is called or Escape is pressed. The browser keeps the focus in it and
// gives it back afterwards, for which the window has to close before it is taken away.
export function Dialog({ title, onClosed, children }) {
  const id = useId();
  const dialog = useRef();
  const close = () => dialog.current?.close();
  useEffect(() => dialog.current.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onClose={onClosed}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div>
        <h2 id={id}>{title}</h2>
        {children(close)}
      </div>
    </dialog>
  );
}

// A button that asks before it acts. `act` may fail: what was said stays in the window.
export function Ask({ name, label, title, children, tone, disabled, act }) {
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      <button
        type="button"
        disabled={disabled}
        aria-label={label}
        aria-haspopup="dialog"
        onClick={() => setAsking(true)}
      >
        {name}
      </button>
      {isAsking && (
        <Dialog title={title} onClosed={() => setAsking(false)}>
          {(close) => (
            <>
              {children}
              <Answering name={name} tone={tone} act={act} close={close} />
            </>
          )}
        </Dialog>
      )}
    </>
  );
}

function Answering({ name, tone, act, close }) {
  const [isActing, setActing] = useState(false);
  const [trouble, setTrouble] = useState(null);

  async function confirm() {
    setActing(true);
    setTrouble(null);
    try {
      await act();
      close();
    } catch (error) {
      setTrouble(error);
    } finally {
      setActing(false);
    }
  }

  return (
    <>
      {trouble && (
        <Notice tone="bad" title="That did not happen">
          {trouble.message}
        </Notice>
      )}
      <div class="actions">
        <button type="button" onClick={close}>
          Leave it
        </button>
        <button type="button" class={tone ?? 'primary'} disabled={isActing} onClick={confirm}>
          {isActing ? 'Working …' : name}
        </button>
      </div>
    </>
  );
}
