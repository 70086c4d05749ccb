// Keeping what is shown up to date: asked again and again while somebody looks, the old answer staying until the new
// one is there.
import { createContext } from 'preact';
import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import { ask, isRefusal } from './graphql.js';

export const Session = createContext(null);

const NOTHING = { data: null, troubles: {}, servedAt: null, failing: null, isCurrent: false };
const LONGEST_WAIT = 15;

// `failing` is the trouble of the last try, null after one that went well. `isCurrent` says whether the answer is one to
// the present question.
export function useLive(query, { seconds, variables = {}, isWanted = true, onAnswer = undefined }) {
  const { apiKey, end } = useContext(Session);
  const [state, setState] = useState(NOTHING);
  const again = useRef(() => {});
  const told = useRef(onAnswer);
  told.current = onAnswer;
  const question = JSON.stringify(variables);

  useEffect(() => {
    if (!isWanted) return undefined;
    const ended = new AbortController();
    let timer;
    let failures = 0;
    setState((before) => ({ ...before, isCurrent: false }));

    async function run() {
      clearTimeout(timer);
      if (!document.hidden) {
        try {
          const answer = await ask(apiKey, query, JSON.parse(question), ended.signal);
          if (ended.signal.aborted) return;
          failures = 0;
          setState({ ...answer, failing: null, isCurrent: true });
          told.current?.(answer);
        } catch (trouble) {
          if (ended.signal.aborted) return;
          if (isRefusal(trouble)) return end(trouble);
          failures += 1;
          setState((before) => ({ ...before, failing: trouble }));
        }
      }
      clearTimeout(timer);
      timer = setTimeout(run, 1000 * Math.min(seconds * 2 ** failures, Math.max(seconds, LONGEST_WAIT)));
    }

    const look = () => !document.hidden && run();
    again.current = run;
    document.addEventListener('visibilitychange', look);
    run();
    return () => {
      ended.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [apiKey, query, question, isWanted]);

  return { ...state, refresh: () => again.current() };
}
