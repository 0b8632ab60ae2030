// What the page knows, and when it is drawn anew.

/** Everything that came from the daemon; api.js fills it, the screens read it. Times are in ms of Date.now(). */
export const S = {
  loaded: false,
  /** waiting, live, full (too many pages follow), lost, hidden (nobody looks) or out (not logged in) */
  conn: {state: 'waiting', tries: 0, retryAt: 0, lostAt: 0},
  host: '',
  /** of the API key that was shown; '' with the password, which may do all */
  scope: '',
  startedAt: 0,
  status: {},
  apps: [],
  plans: [],
  problems: [],
  devices: [],
  gateways: [],
  strangers: [],
  unknownGateways: [],
  events: [],
  keys: [],
  clients: [],
  failed: [],
};

/** Live holds rows back while paused, and counts them. */
export const pause = {on: false, held: 0};

export const prefs = {exact: localStorage.getItem('exact') === '1'};

export function toggleExact() {
  prefs.exact = !prefs.exact;
  localStorage.setItem('exact', prefs.exact ? '1' : '0');
  redraw();
}

let draw = () => {};
let pending = false;

export function onDraw(f) {
  draw = f;
}

/** Draws at the next frame; calls in between are one. */
export function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    draw();
  });
}

/** What the page last said, for eyes and for screen readers. */
export const note = {text: ''};
let noteTimer;

export function say(text) {
  note.text = text;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => {
    note.text = '';
    redraw();
  }, 6000);
  redraw();
}

/** The question that the dialog asks, see ask in ui.js. */
export const dialog = {content: null};

/** Without a calendar something is missing; one that nothing keeps right is worth a look only. */
export const clockTone = (clock) => ({none: 'warn', rtc: 'idle'})[clock] ?? 'ok';

/** Whether the login may do what reaches into all applications or concerns the host: with a key it may not. */
export const owner = () => !S.scope;
export const firstApp = () => S.scope || S.apps[0] || 'app1';

export const gatewayName = (id) => S.gateways.find((g) => g.id === id)?.name || id;
export const deviceOf = (e) => S.devices.find((d) => d.app === e.app && d.id === e.dev);
