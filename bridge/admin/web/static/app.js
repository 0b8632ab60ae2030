// Shell: navigation, state of the connection, and which screen is drawn.
import {render} from './lib/lit-html.js';
import {html, nothing, icon, dialogView} from './ui.js';
import {S, note, onDraw, owner, pause, prefs, redraw, toggleExact} from './state.js';
import {agoText, num, plural, safe} from './text.js';
import {connect, forget, onLoggedOut, post, stop, watch} from './api.js';
import {overview} from './screens/overview.js';
import {live} from './screens/live.js';
import {devices} from './screens/devices.js';
import {addDevice} from './screens/add.js';
import {importDevices} from './screens/import.js';
import {device} from './screens/device.js';
import {gateways, addGateway} from './screens/gateways.js';
import {formatters} from './screens/formatter.js';
import {integrations} from './screens/integrations.js';
import {system} from './screens/system.js';
import {start} from './screens/start.js';
import {login, look, more, onLogin} from './screens/login.js';

const SCREENS = {
  overview: [overview, 'Overview'],
  live: [live, 'Live'],
  devices: [devices, 'Devices'],
  device: [device, 'Device'],
  add: [addDevice, 'Add a device'],
  import: [importDevices, 'Import devices'],
  gateways: [gateways, 'Gateways'],
  'add-gateway': [addGateway, 'Add a gateway'],
  formatters: [formatters, 'Payload formatters'],
  integrations: [integrations, 'Integrations'],
  system: [system, 'System'],
  start: [start, 'First run'],
  login: [login, 'Log in'],
  more: [more, 'More'],
};
const NAV = [
  ['overview', 'Overview'],
  ['live', 'Live'],
  ['devices', 'Devices'],
  ['gateways', 'Gateways'],
  ['formatters', 'Formatters'],
  ['integrations', 'Integrations'],
  ['system', 'System'],
];
const TABS = [...NAV.slice(0, 4), ['more', 'More']]; // on a phone
const WRITES = new Set(['add', 'import', 'device', 'formatters', 'integrations', 'start']);
const OF_HOST = new Set(['start', 'add-gateway']); // what is done on the gateway itself
const PARENT = {device: 'devices', add: 'devices', import: 'devices', 'add-gateway': 'gateways'};

let route = {screen: 'overview', args: [], query: new URLSearchParams()};
let back = ''; // where somebody was who has to log in

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function readRoute() {
  const [path, query] = (location.hash.slice(2) || 'overview').split('?');
  const [screen, ...args] = path.split('/').map(decoded);
  const may = Object.hasOwn(SCREENS, screen) && (owner() || !OF_HOST.has(screen));
  route = {screen: may ? screen : 'overview', args, query: new URLSearchParams(query)};
}

const since = () => (S.conn.lostAt ? `what you see is from ${agoText(S.conn.lostAt)}.` : nothing);

/** Too many pages follow what happens: this one does not. */
const crowded = () =>
  html`<div class="banner" role="status">
    ${icon('pause')}
    <span>
      <b>Too many pages are open.</b> News goes to 4 of a login, and to 8 in all. This one asks again within a minute;
      ${since()} Close another one, then:
    </span>
    <button type="button" class="btn" @click=${connect}>Follow again</button>
  </div>`;

function banner() {
  const c = S.conn;
  if (c.state === 'full') return crowded();
  if (c.state !== 'lost') return nothing;
  const wait = Math.ceil((c.retryAt - Date.now()) / 1e3);
  return html`<div class="banner" role="status">
    ${icon('bad')}
    <span>
      <b>No connection to the gateway:</b> ${since()} Trying again ${wait > 0 ? `in ${wait} s` : 'now'}.
    </span>
    <button type="button" class="btn" @click=${connect}>Try now</button>
  </div>`;
}

/** Where something is written, it is said first that it cannot be kept. */
function unkept() {
  if (!S.status.storeError || !WRITES.has(route.screen)) return nothing;
  return html`<div class="banner" role="status">
    ${icon('bad')}<span
      ><b>The store cannot be written.</b> What you change here cannot be kept: ${safe(S.status.storeError)}</span
    >
  </div>`;
}

function connection() {
  if (S.conn.state === 'full') return html`<span class="st warn">${icon('pause')}<span>Not followed</span></span>`;
  if (S.conn.state !== 'live') return html`<span class="st bad">${icon('bad')}<span>Not connected</span></span>`;
  if (pause.on) return html`<span class="st idle">${icon('pause')}<span>Paused</span></span>`;
  return html`<span class="st ok" title="New frames come by themselves">${icon('ok')}<span>Live</span></span>`;
}

function link(on, [id, label]) {
  const n = id === 'overview' ? S.problems.filter((p) => p.tone !== 'info').length : 0;
  const rest = id === 'more' && !TABS.some(([t]) => t === on);
  const count = n ? html`<span class="count" aria-label=${plural(n, 'problem')}>${n}</span>` : nothing;
  return html`<a href="#/${id}" aria-current=${on === id || rest ? 'page' : nothing}>
    ${icon(id)}<span>${label}</span>${count}
  </a>`;
}

function skip(e) {
  e.preventDefault();
  document.querySelector('h1')?.focus();
}

function top() {
  return html`<header class="top">
    <a class="brand" href="#/overview">${icon('logo')}lorawand</a><span class="host">${safe(S.host)}</span>
    <span class="conn">${connection()}</span>
    <button
      type="button"
      class="btn quiet exact"
      aria-pressed=${prefs.exact ? 'true' : 'false'}
      title="Show exact times instead of how long ago"
      @click=${toggleExact}
    >
      ${icon('clock')}<span class="lbl">Exact times</span>
    </button>
    <a class="btn quiet out" href="#/logout">Log out</a>
  </header>`;
}

function side(on) {
  const st = S.status;
  return html`<nav class="side" aria-label="Screens">
    ${NAV.map((item) => link(on, item))}
    <div class="foot">
      <span>${num(st.uplinksHour ?? 0)} frames in the last hour</span>
      <span>Clock: ${safe(st.clockText)}</span>
      <span>${st.storeError ? 'Store: cannot be written' : 'Store: good'}</span>
    </div>
  </nav>`;
}

const waits = () =>
  html`<h1 tabindex="-1">lorawand</h1>
    <p class="muted">Asking the gateway…</p>`;

function shell() {
  const [screen] = SCREENS[route.screen];
  const toast = html`<div class="toast ${note.text ? 'on' : ''}" role="status" aria-live="polite">
    ${safe(note.text)}
  </div>`;
  if (route.screen === 'login')
    return html`<main id="main" class="alone">${screen(route)}</main>
      ${toast}`;
  const on = PARENT[route.screen] ?? route.screen;
  return html`<a class="skip" href="#main" @click=${skip}>Skip to content</a>
    ${top()}${side(on)}
    <main id="main">${banner()}${unkept()}${S.loaded ? screen(route) : waits()}</main>
    <nav class="tabs" aria-label="Screens">${TABS.map((item) => link(on, item))}</nav>
    ${dialogView()}${toast}`;
}

const app = document.getElementById('app');
const draw = () => render(shell(), app);

function title() {
  const name = route.screen === 'device' ? route.args[1] : SCREENS[route.screen][1];
  document.title = `${safe(name)} – lorawand`;
}

/** Shows the screen of the address; focus is on its heading then. */
function show() {
  if (location.hash === '#/logout') return leave();
  readRoute();
  forget();
  draw();
  title();
  document.querySelector('h1')?.focus({preventScroll: true});
  scrollTo(0, 0);
}

async function leave() {
  await post('logout', {});
  stop();
  loggedOut();
}

function loggedOut() {
  S.conn.state = 'out';
  if (route.screen !== 'login') back = location.hash === '#/logout' ? '' : location.hash;
  location.hash = '#/login';
  look();
}

async function loggedIn() {
  await look();
  S.conn.state = 'waiting';
  location.hash = back || '#/overview';
  await connect();
  firstRun();
}

/** A daemon that serves nothing yet begins with the four steps. */
function firstRun() {
  const fresh = S.loaded && !S.devices.length && !S.keys.length;
  if (fresh && /^(#\/overview)?$/.test(location.hash)) location.hash = '#/start';
}

/** Times that are told as "so long ago" go on; nothing runs while nobody looks. */
function tick() {
  if (document.hidden || S.conn.state === 'out') return;
  if (S.conn.state === 'lost' || Date.now() - tick.last >= 5e3) {
    tick.last = Date.now();
    redraw();
  }
}
tick.last = 0;

async function main() {
  onDraw(draw);
  onLoggedOut(loggedOut);
  onLogin(loggedIn);
  addEventListener('hashchange', show);
  setInterval(tick, 1000);
  watch();
  readRoute();
  if (!(await look())?.in) return loggedOut();
  readRoute();
  if (route.screen === 'login') location.hash = '#/overview';
  title();
  await connect();
  firstRun();
}

main();
