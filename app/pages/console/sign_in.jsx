// Signing in: an admin's API key, pasted.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask } from './graphql.js';
import { Notice } from './parts.jsx';

const ASKED = '{ viewer { id } workers { id } }'; // what only an admin is answered

const WORDS = {
  UNAUTHENTICATED: 'Nobody is known by this key. It may have been revoked or have expired.',
  FORBIDDEN: 'This key is known, but it is not an admin’s: it needs the role and the scope.',
};

export function SignIn({ reason, onKey }) {
  const [trouble, setTrouble] = useState(reason);
  const [isAsking, setAsking] = useState(false);
  const field = useRef();
  useEffect(() => field.current.focus(), []);

  async function submit(event) {
    event.preventDefault();
    const key = new FormData(event.target).get('key').trim();
    if (!key) return;
    setAsking(true);
    try {
      await ask(key, ASKED);
      onKey(key);
    } catch (error) {
      setTrouble(error);
      setAsking(false);
    }
  }

  return (
    <main class="sign-in">
      <h1>
        <span aria-hidden="true">◖</span> Crier
      </h1>
      <form onSubmit={submit}>
        <label for="key">Admin key</label>
        <input
          id="key"
          name="key"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          ref={field}
          aria-describedby="how"
        />
        <p id="how" class="quiet">
          It stays in this tab and is gone when you close it. Make one with{' '}
          <code>python -m app keys create NAME --scope admin</code>.
        </p>
        {trouble && (
          <Notice tone="bad" title="No way in with this">
            {WORDS[trouble.code] ?? trouble.message}
          </Notice>
        )}
        <button type="submit" class="primary" disabled={isAsking}>
          {isAsking ? 'Looking …' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}
