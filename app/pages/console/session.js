// The admin key: in this tab's sessionStorage while the visit lasts, and never anywhere else.

const PLACE = 'crier.admin-key';

// A link may bring a key behind `#key=`. That part of an address is never sent to any server, and it is gone from the
// address bar before anything else happens.
export function takeBrought() {
  const brought = new URLSearchParams(location.hash.slice(1)).get('key');
  if (brought) {
    history.replaceState(null, '', location.pathname);
    keepKey(brought);
  }
  return brought;
}

export function findKey() {
  return takeBrought() ?? sessionStorage.getItem(PLACE);
}

export function keepKey(key) {
  sessionStorage.setItem(PLACE, key);
}

export function forgetKey() {
  sessionStorage.removeItem(PLACE);
}
