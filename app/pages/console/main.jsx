// The console: signing in, the views, and what is always in sight, namely whether all is well and who is looking.
import './style.css';
import { render } from 'preact';
import { useContext, useEffect, useMemo, useState } from 'preact/hooks';
import { AuditLog } from './audit.jsx';
import { Failures } from './failures.jsx';
import { isRefusal } from './graphql.js';
import { remember } from './history.js';
import { Session, useLive } from './live.js';
import { Now } from './now.jsx';
import { People } from './people.jsx';
import PULSE from './queries/Pulse.graphql';
import { findKey, forgetKey, keepKey, takeBrought } from './session.js';
import { SignIn } from './sign_in.jsx';
import { clock } from './words.js';

const VIEWS = [
  ['now', 'Now', Now],
  ['failures', 'Failures', Failures],
  ['people', 'People', People],
  ['log', 'Audit log', AuditLog],
];
const viewInAddress = () => VIEWS.find(([name]) => `#${name}` === location.hash) ?? VIEWS[0];

function App() {
  const [apiKey, setKey] = useState(findKey);
  const [reason, setReason] = useState(null);
  const session = useMemo(() => {
    const end = (trouble = null) => {
      forgetKey();
      setReason(trouble);
      setKey(null);
    };
    return { apiKey, end };
  }, [apiKey]);

  useEffect(() => {
    const take = () => {
      const brought = takeBrought();
      if (brought) setKey(brought);
    };
    addEventListener('hashchange', take); // a link followed where the console is open already
    return () => removeEventListener('hashchange', take);
  }, []);

  if (!apiKey) {
    const begin = (key) => {
      keepKey(key);
      setReason(null);
      setKey(key);
    };
    return <SignIn reason={isRefusal(reason) ? reason : null} onKey={begin} />;
  }
  return (
    <Session.Provider value={session}>
      <Console />
    </Session.Provider>
  );
}

function Console() {
  const [[name, title, View], setView] = useState(viewInAddress);
  const pulse = useLive(PULSE, { seconds: 2, onAnswer: remember });

  useEffect(() => {
    const turn = () => setView(viewInAddress());
    addEventListener('hashchange', turn);
    return () => removeEventListener('hashchange', turn);
  }, []);
  useEffect(() => {
    document.title = `${title} · Crier`;
  }, [title]);

  return (
    <>
      <a class="skip" href={`#${name}`} onClick={() => document.querySelector('main').focus()}>
        To the content
      </a>
      <Masthead current={name} pulse={pulse} />
      <main tabIndex={-1}>
        <h1 class="unseen">{title}</h1>
        {pulse.failing && <Silence pulse={pulse} />}
        <View pulse={pulse} />
      </main>
    </>
  );
}

function Masthead({ current, pulse }) {
  return (
    <header class="masthead">
      <span class="brand">
        <span aria-hidden="true">◖</span> Crier
      </span>
      <nav aria-label="Views">
        {VIEWS.map(([name, title]) => (
          <a key={name} href={`#${name}`} aria-current={name === current ? 'page' : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <Account pulse={pulse} />
    </header>
  );
}

function Account({ pulse }) {
  const { end } = useContext(Session);
  return (
    <div class="account">
      <span class={pulse.failing ? 'beat lost' : 'beat'} aria-hidden="true" />
      <span class="quiet figure">{pulse.servedAt ? clock(pulse.servedAt) : '…'}</span>
      <span class="who">{pulse.data?.viewer?.name}</span>
      <button type="button" class="plain" onClick={() => end()}>
        Sign out
      </button>
    </div>
  );
}

function Silence({ pulse }) {
  return (
    <div class="notice bad" role="alert">
      <strong>{pulse.failing.message}</strong>
      <p>
        {pulse.servedAt ? `What you see is of ${clock(pulse.servedAt)}. ` : ''}
        The console keeps trying.
      </p>
    </div>
  );
}

const place = document.getElementById('console');
place.replaceChildren();
render(<App />, place);
