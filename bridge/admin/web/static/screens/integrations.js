// Who reads the data: keys, clients, and what to paste where.
import {
  html,
  nothing,
  icon,
  ask,
  block,
  code,
  emptyBox,
  facts,
  fault,
  field,
  hex,
  name,
  none,
  secret,
  select,
  state,
  table,
  when,
} from '../ui.js';
import {S, firstApp, owner, redraw, say} from '../state.js';
import {num, plural, safe} from '../text.js';
import {op} from '../api.js';
import {mqttHost, mqttPort, snippets} from './snippets.js';

const RIGHTS = [
  ['', 'read and write'],
  ['traffic-read', 'only read'],
  ['all', 'all, also settings (for the HTTP API and this page)'],
];

const view = {tab: 'node-red', made: null, error: '', form: {name: '', app: '', rights: ''}};

/** Makes a key and answers {app, key}, or {error}. */
export async function makeKey({app, name: title, rights}) {
  const password = await secret('An API key lets a program in.');
  if (!password) return {error: 'No key was made.'};
  const {parts, error} = await op('key.create', {application_id: app, name: title, rights, password});
  return error ? {error} : {app, key: parts[0].key};
}

export function keyPanel(app, key) {
  const all = snippets(app, key);
  const [, title, text, hint] = all.find(([k]) => k === view.tab);
  const choose = (k) => () => {
    view.tab = k;
    redraw();
  };
  const tab = ([k, word]) =>
    html`<button type="button" aria-pressed=${k === view.tab ? 'true' : 'false'} @click=${choose(k)}>${word}</button>`;
  return html`<div class="subtabs in" role="group" aria-label="For">${all.map(tab)}</div>
    ${block(text, title)} ${hint ? html`<p class="small muted">${hint}</p>` : nothing}`;
}

const encrypted = () => (S.status.addresses?.mqttTLS ? '' : ' not encrypted; keep it inside your LAN');

export const keyFacts = ({app, key}) =>
  facts([
    ['Host', code(mqttHost(), 'Copy the host')],
    ['Port', html`${code(mqttPort(), 'Copy the port')}<span class="small muted">${encrypted()}</span>`],
    ['User', code(app, 'Copy the user')],
    ['Password', code(key, 'Copy the key')],
  ]);

function once(made) {
  const done = () => {
    view.made = null;
    redraw();
  };
  return html`<section class="card once">
    <h2>${icon('check')} The new key: copy it now</h2>
    <p>It is shown only this once. If it gets lost, make another one and revoke this.</p>
    ${keyFacts(made)}
    <h3>Paste it into</h3>
    ${keyPanel(made.app, made.key)}
    <p class="acts"><button type="button" class="btn primary" @click=${done}>I have copied it</button></p>
  </section>`;
}

const CLIENTS = [
  {
    label: 'Client',
    cls: 'c-main',
    cell: (c) => html`<b class="brk">${name(c.id)}</b><span class="sub">${safe(c.address)}, ${safe(c.proto)}</span>`,
  },
  {
    label: 'Application',
    cell: (c) => html`${safe(c.user)}<span class="sub">${c.key ? `key "${safe(c.key)}"` : nothing}</span>`,
  },
  {
    label: 'State',
    cell: (c) =>
      html`${c.connected ? state('ok', 'connected') : state('idle', 'away')}<span class="sub"
          >since ${when(c.since)}</span
        >`,
  },
  {
    label: 'Lost',
    num: true,
    cell: (c) =>
      c.dropped
        ? html`<span title="It reads too slowly: the oldest went.">${state('warn', num(c.dropped))}</span>`
        : '0',
  },
];

const FAILED = [
  {label: 'From', cell: (f) => html`<span class="mono">${safe(f.address)}</span>`},
  {label: 'User', cell: (f) => (f.user ? name(f.user) : none)},
  {
    label: 'Why, and what to do',
    cls: 'c-why',
    cell: (f) => html`${safe(f.why)} <span class="muted">${safe(f.todo)}</span>`,
  },
  {label: 'Times', num: true, cell: (f) => num(f.n)},
  {label: 'Last', num: true, cell: (f) => when(f.last)},
];

const revoke = (k) =>
  ask({
    title: `Revoke "${safe(k.name || k.id)}"?`,
    text: html`<p>
      ${k.clients ? `Its ${plural(k.clients, 'connection')} end at once, and nobody` : 'Nobody'} can log in with it
      again.
    </p>`,
    yes: 'Revoke',
    danger: true,
    done: async () => {
      const {error} = await op('key.revoke', {id: k.id});
      if (!error) S.keys = S.keys.filter((x) => x.id !== k.id);
      say(error ?? 'Key revoked.');
    },
  });

const KEYS = [
  {
    label: 'Name',
    cls: 'c-main',
    cell: (k) => html`<b>${k.name ? name(k.name) : 'no name'}</b><span class="sub">${hex(k.id)}</span>`,
  },
  {label: 'Application', cell: (k) => safe(k.app)},
  {label: 'May', cell: (k) => safe(k.rights)},
  {label: 'Last used', num: true, cell: (k) => when(k.used)},
  {
    label: 'Revoke',
    hide: true,
    num: true,
    cell: (k) =>
      owner()
        ? html`<button
            type="button"
            class="btn quiet danger"
            aria-label="Revoke ${safe(k.name || k.id)}"
            @click=${() => revoke(k)}
          >
            Revoke
          </button>`
        : nothing,
  },
];

const formApp = () => S.scope || view.form.app || firstApp();

async function submit(e) {
  e.preventDefault();
  const {form} = view;
  const made = await makeKey({...form, app: formApp()});
  view.error = made.error ?? '';
  if (!made.error) view.made = made;
  redraw();
  if (view.made) scrollTo(0, 0);
}

function keyForm() {
  const {form} = view;
  const set = (k) => (e) => {
    form[k] = e.target.value.trim();
  };
  return html`<form class="card form" @submit=${submit}>
    <h2>Make a key</h2>
    <p class="small muted">One for each program, so that you can revoke it alone.</p>
    ${field(
      'For',
      html`<input name="key-name" maxlength="60" placeholder="Node-RED" autocomplete="off" @change=${set('name')} />`,
    )}
    ${field(
      'Application',
      html`<input
        name="key-app"
        list="key-apps"
        .value=${formApp()}
        ?readonly=${!owner()}
        autocomplete="off"
        autocapitalize="none"
        @change=${set('app')}
      />`,
    )}
    <datalist id="key-apps">${S.apps.map((a) => html`<option value=${a}></option>`)}</datalist>
    ${field('May', select(RIGHTS, form.rights, set('rights'), {name: 'rights'}))} ${fault(view.error)}
    <p class="acts"><button class="btn primary">Make a key</button></p>
  </form>`;
}

const failedKey = (f) => `${f.address} ${f.user} ${f.client} ${f.why}`;
const keyOf = (c) => `${c.user}/${c.id}`;

function tables() {
  return html`<div class="col">
    <section class="card flush">
      <div class="ch pad">
        <h2>Clients</h2>
        <span class="small muted">MQTT on ${mqttHost()}:${mqttPort()}</span>
      </div>
      ${
        S.clients.length
          ? table({label: 'Clients', rows: S.clients, key: keyOf, cls: 'clients', cols: CLIENTS})
          : emptyBox(
              'Nobody is connected',
              'Make a key and paste it into Node-RED, Home Assistant or your own program.',
            )
      }
    </section>
    ${
      S.failed.length
        ? html`<section class="card flush">
            <div class="ch pad"><h2>Failed logins</h2></div>
            ${table({label: 'Failed logins', rows: S.failed, key: failedKey, cls: 'failed', cols: FAILED})}
          </section>`
        : nothing
    }
    <section class="card flush">
      <div class="ch pad"><h2>Keys</h2></div>
      ${
        S.keys.length
          ? table({label: 'Keys', rows: S.keys, key: (k) => k.id, cls: 'keys', cols: KEYS})
          : html`<p class="pad muted">No key yet: nobody can log in.</p>`
      }
    </section>
  </div>`;
}

export function integrations() {
  return html`<h1 tabindex="-1">Integrations</h1>
    ${view.made ? once(view.made) : nothing}
    <div class="two wider">
      ${tables()}
      <div class="col">${keyForm()}</div>
    </div>
    ${
      view.made
        ? nothing
        : html`<section class="card">
            <h2>How to connect</h2>
            ${keyPanel(firstApp(), 'YOUR-KEY')}
          </section>`
    }`;
}
