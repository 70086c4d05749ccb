// Keeping what is shown up to date: asked again and again while somebody looks, the old answer staying until the new
// one is there.
import { createContext } from 'preact';
import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import { ask, isRefusal } from './graphql.js';

export const Session = createContext(null);

const NOTHING = { data: null, troubles: {}, servedAt: null, failing: null, isCurrent: false };
const LONGEST_WAIT = 15;
const EASE = 4; // what takes long to answer is asked for less often

// `failing` is the trouble of the last try, null after one that went well. `isCurrent` says whether the answer is one to
// the present question.
export function useLive(query, { seconds, variables = {}, onAnswer = undefined }) {
  const { apiKey, end } = useContext(Session);
  const [state, setState] = useState(NOTHING);
  const again = useRef(() => {});
  const told = useRef(onAnswer);
  told.current = onAnswer;
  const question = JSON.stringify(variables);

  useEffect(() => {
    const ended = new AbortController();
    let timer;
    let latest = 0;
    let failures = 0;
    setState((before) => ({ ...before, isCurrent: false }));

    async function run() {
      if (document.hidden) return;
      latest += 1;
      const turn = latest;
      const isOver = () => ended.signal.aborted || turn !== latest; // somebody asked anew meanwhile
      const began = performance.now();
      try {
        const answer = await ask(apiKey, query, JSON.parse(question), ended.signal);
        if (isOver()) return;
        failures = 0;
        setState({ ...answer, failing: null, isCurrent: true });
        told.current?.(answer);
      } catch (trouble) {
        if (isOver()) return;
        if (isRefusal(trouble)) return end(trouble);
        failures += 1;
        setState((before) => ({ ...before, failing: trouble }));
      }
      const took = (performance.now() - began) / 1000;
      const pause = Math.max(seconds * 2 ** failures, EASE * took);
      clearTimeout(timer);
      timer = setTimeout(run, 1000 * Math.min(pause, Math.max(seconds, LONGEST_WAIT)));
    }

    again.current = run;
    document.addEventListener('visibilitychange', run); // nothing is asked while nobody looks
    run();
    return () => {
      ended.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', run);
    };
  }, [apiKey, query, question]);

  return { ...state, refresh: () => again.current() };
}
