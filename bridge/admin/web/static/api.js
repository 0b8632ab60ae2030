// Speaks to the daemon: requests, the event stream, and what happens when either fails.
import {S, pause, redraw} from './state.js';
import {device, event, heard, local} from './model.js';

const BASE = 'api/page/';
const MAX_EVENTS = 400;
const MAX_WAIT = 60; // s between two tries to connect
const HIDDEN = 60e3; // ms after which a page that nobody looks at closes its stream
const SETTLE = 1500; // ms after an event until the lists are fetched anew
const RARELY = 60e3; // ms between two looks at what no event tells

let loggedOut = () => {};

/** f is called when the session has ended. */
export function onLoggedOut(f) {
  loggedOut = f;
}

/** A request. Answers {error} where the daemon says no, and throws where it cannot be reached. */
async function request(path, body, headers) {
  const init = {headers: {'X-Lorawand': '1'}, cache: 'no-store', signal: AbortSignal.timeout(body ? 130e3 : 20e3)};
  if (body !== undefined) {
    init.method = 'POST';
    const file = body instanceof Blob;
    Object.assign(init.headers, {'Content-Type': file ? 'application/octet-stream' : 'application/json'}, headers);
    init.body = file ? body : JSON.stringify(body);
  }
  const r = await fetch(BASE + path, init);
  const answer = r.headers.get('Content-Type')?.startsWith('application/json')
    ? await r.json()
    : {text: await r.text()};
  if (r.status === 401 && path !== 'login') {
    stop();
    loggedOut();
  }
  if (!r.ok) return {...answer, status: r.status, error: answer.error ?? `The daemon answers with status ${r.status}.`};
  return answer;
}

/** Asks for something that the daemon knows, with its times as ms of Date.now(). */
async function get(path) {
  const answer = await request(path);
  if (answer.error) throw new Error(answer.error);
  S.startedAt = Date.now() - answer.now;
  return local(answer, S.startedAt);
}

/** Changes something. Answers {parts} or {error}; it never throws. */
export async function post(path, body, headers) {
  try {
    return await request(path, body, headers);
  } catch {
    return {error: 'The gateway does not answer. Nothing is known of what became of this.'};
  }
}

/** Carries out an operation of the daemon, and looks at what it changed. */
export async function op(name, args) {
  const answer = await post(`op/${name}`, args);
  soon();
  return answer;
}

/** Who is logged in, and what it may reach. */
export async function session() {
  const answer = await request('session');
  S.scope = answer.application_id ?? '';
  return answer;
}

function take(...answers) {
  for (const {status, problems, apps, devices, ...rest} of answers) {
    if (status) Object.assign(S, {status, problems, apps});
    if (devices) S.devices = devices.map(device);
    for (const k of ['gateways', 'unknownGateways', 'strangers', 'keys', 'clients', 'failed']) {
      if (rest[k]) S[k] = rest[k];
    }
  }
}

async function fetchLists() {
  take(...(await Promise.all(['status', 'devices', 'gateways', 'strangers', 'clients', 'keys'].map(get))));
}

// One device, its formatters, the log and the like are fetched by the screen that shows them.
const details = new Map();
const NONE = device({uplinks: [], heardCount: 0, lost: 0});

/** What only the screen of a device shows; it is fetched when it is first asked for. */
export function detail(d) {
  const known = details.get(d.key);
  if (!known) {
    details.set(d.key, NONE);
    refresh(d);
  }
  return known ?? NONE;
}

export async function refresh(d) {
  try {
    const path = `device?application_id=${encodeURIComponent(d.app)}&device_id=${encodeURIComponent(d.id)}`;
    details.set(d.key, device((await get(path)).device));
  } catch {
    details.delete(d.key);
    return;
  }
  redraw();
}

/** Forgets what was fetched for screens: it is fetched anew when one is shown. */
export function forget() {
  details.clear();
  extras.clear();
}

const extras = new Map();

/** What a screen fetches once, by its path; undefined until it is there. {error} where it cannot be had. */
export function extra(path) {
  if (!extras.has(path)) {
    extras.set(path, undefined);
    get(path)
      .catch((e) => ({error: e.message}))
      .then((answer) => {
        extras.set(path, answer);
        redraw();
      });
  }
  return extras.get(path);
}

export const forgetExtra = (path) => extras.delete(path);

// The stream.
let source = null;
let timer = 0;
let lastID = '';
let neighbours = false;

export function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

/** Fetches all lists, then follows the events that come after them. */
export async function connect() {
  stop();
  try {
    const live = await get('live');
    await fetchLists();
    S.events = live.events.map(event);
    lastID = live.id;
    forget();
    S.loaded = true;
    follow();
  } catch {
    lost();
  }
  redraw();
}

function follow() {
  source?.close();
  if (/^(hidden|out)$/.test(S.conn.state)) return; // meanwhile
  source = new EventSource(`${BASE}events?since=${encodeURIComponent(lastID)}${neighbours ? '&neighbours=1' : ''}`);
  source.onopen = () => {
    Object.assign(S.conn, {state: 'live', tries: 0});
    redraw();
  };
  source.onmessage = (m) => {
    fulls = 0;
    lastID = m.lastEventId || lastID;
    const e = JSON.parse(m.data);
    if (e.id !== m.lastEventId) e.id = `neighbour-${e.id}`; // is not numbered as the others are
    arrived(event(local(e, Date.now() - e.now)));
  };
  source.addEventListener('reset', () => connect());
  source.addEventListener('full', full);
  source.addEventListener('end', () => session().then((s) => (s.in ? connect() : ended()), lost));
  source.onerror = lost; // EventSource's own tries know no back-off
}

/** Frames of neighbours are sent only where somebody looks at them. */
export function showNeighbours(on) {
  neighbours = on;
  if (source) follow();
}

function ended() {
  stop();
  loggedOut();
}

let fulls = 0; // since an event came

/** Other pages have the place of this one: it asks again after 2, 4, 8 … 60 s, and follows once there is room. */
function full() {
  stop();
  Object.assign(S.conn, {state: 'full', lostAt: Date.now()});
  timer = setTimeout(connect, Math.min(MAX_WAIT, 2 ** ++fulls) * 1e3);
  redraw();
}

/** A connection that failed is tried again after 1, 2, 4 … 60 s. */
function lost() {
  const c = S.conn;
  if (/^(hidden|out)$/.test(c.state)) return;
  stop();
  if (c.state === 'live') c.lostAt = Date.now();
  c.state = 'lost';
  const wait = Math.min(MAX_WAIT, 2 ** c.tries++) * 1e3;
  c.retryAt = Date.now() + wait;
  timer = setTimeout(connect, wait);
  redraw();
}

function arrived(e) {
  if (S.events.some((x) => x.id === e.id)) return;
  S.events.unshift(e);
  S.events.length = Math.min(MAX_EVENTS, S.events.length);
  if (pause.on) pause.held++;
  const i = S.devices.findIndex((d) => d.app === e.app && d.id === e.dev);
  if (e.up && i >= 0) S.devices[i] = heard(S.devices[i], e.up);
  if (e.up)
    for (const h of e.up.heard) Object.assign(S.gateways.find((g) => g.id === h.gateway) ?? {}, {lastUplink: e.at});
  if (i >= 0 && details.has(S.devices[i].key)) refresh(S.devices[i]);
  if (e.up) S.status.uplinksHour++;
  else soon();
  redraw();
}

let settling = 0;

/** Fetches the lists anew, once for all events that come together. */
export function soon() {
  clearTimeout(settling);
  settling = setTimeout(update, SETTLE);
}

async function update() {
  if (S.conn.state !== 'live' || document.hidden) return;
  try {
    await fetchLists();
  } catch {
    return; // the stream tells when the connection is lost
  }
  redraw();
}

let hiding = 0;

function hide() {
  clearTimeout(hiding);
  if (S.conn.state === 'out') return;
  stop();
  S.conn.state = 'hidden';
}

function visibility() {
  clearTimeout(hiding);
  if (S.conn.state === 'out') return;
  if (document.hidden) {
    hiding = setTimeout(hide, HIDDEN);
    return;
  }
  if (source) return update();
  if (S.conn.state === 'hidden') S.conn.state = 'waiting';
  connect();
}

/** Keeps what the page shows up to date, until it is closed. */
export function watch() {
  document.addEventListener('visibilitychange', visibility);
  document.addEventListener('freeze', hide); // no timer runs until the browser thaws it
  document.addEventListener('resume', visibility);
  setInterval(update, RARELY);
}
