// Adding a device: one form. A refused join fills it by the address of this page; QR text fills it too.
import {html, nothing, icon, field, fault, select} from '../ui.js';
import {S, firstApp, owner, redraw, say} from '../state.js';
import {cleanHex, isHex} from '../text.js';
import {op} from '../api.js';
import {planOptions} from './plans.js';

// TR005 "LoRaWAN Device Identification QR Codes", section 3.
const QR = /^LW:D0:([0-9A-F]{16}):([0-9A-F]{16}):[0-9A-F]{8}(:.*)?$/i;
const VERSIONS = [
  ['MAC_V1_0_2', '1.0.2', 'PHY_V1_0_2_REV_B'],
  ['MAC_V1_0_3', '1.0.3', 'PHY_V1_0_3_REV_A'],
  ['MAC_V1_0_4', '1.0.4', 'PHY_V1_0_3_REV_A'],
  ['MAC_V1_1', '1.1', 'PHY_V1_1_REV_B'],
];

const form = {from: '', key: null, v: {}, err: {}, busy: false};

function parseQR(text) {
  const m = QR.exec(text.trim());
  return m && {joinEUI: m[1].toUpperCase(), devEUI: m[2].toUpperCase()};
}

function begin(query) {
  form.key = query.toString();
  form.err = {};
  form.from = query.get('dev_eui') ? 'its refused join-request' : '';
  form.v = {
    app: firstApp(),
    id: '',
    devEUI: cleanHex(query.get('dev_eui') ?? ''),
    joinEUI: cleanHex(query.get('join_eui') ?? ''),
    appKey: '',
    nwkKey: '',
    version: 'MAC_V1_0_3',
    plan: '',
    classC: 'A',
  };
}

const ID = /^[a-z0-9](?:-?[a-z0-9]){2,35}$/;
const idRule = 'Small letters, digits and single dashes, 3 to 36 of them.';

function hexFault(text, digits, hint = '') {
  if (isHex(text, digits)) return '';
  const odd = /[^0-9A-F]/i.test(text) ? 'has other characters' : `has ${text.length}`;
  return `${digits} hexadecimal digits; this ${odd}.${hint}`;
}

function check(v) {
  const err = {
    app: ID.test(v.app) ? '' : idRule,
    id: ID.test(v.id) ? '' : idRule,
    devEUI: hexFault(v.devEUI, 16),
    joinEUI: hexFault(v.joinEUI, 16, ' All zeros if the sticker has none.'),
    appKey: hexFault(v.appKey, 32),
    nwkKey: v.version === 'MAC_V1_1' ? hexFault(v.nwkKey, 32) : '',
  };
  if (!err.id && S.devices.some((d) => d.app === v.app && d.id === v.id)) {
    err.id = `${v.app} has a device ${v.id} already: choose another id.`;
  }
  return Object.fromEntries(Object.entries(err).filter(([, text]) => text));
}

/** The form of The Things Stack, as "device import" takes it. */
function deviceJSON(v) {
  const keys = {app_key: {key: v.appKey}};
  if (v.version === 'MAC_V1_1') keys.nwk_key = {key: v.nwkKey};
  return {
    ids: {device_id: v.id, application_ids: {application_id: v.app}, dev_eui: v.devEUI, join_eui: v.joinEUI},
    lorawan_version: v.version,
    lorawan_phy_version: VERSIONS.find(([version]) => version === v.version)[2],
    ...(v.plan && {frequency_plan_id: v.plan}),
    supports_join: true,
    supports_class_c: v.classC === 'C',
    root_keys: keys,
  };
}

function focusFirst() {
  redraw();
  requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector('[aria-invalid=true]')?.focus()));
}

async function submit(e) {
  e.preventDefault();
  form.err = check(form.v);
  if (Object.keys(form.err).length) return focusFirst();
  const {app, id} = form.v;
  form.busy = true;
  redraw();
  const {error} = await op('device.put', {application_id: app, devices: [deviceJSON(form.v)]});
  form.busy = false;
  if (error) {
    form.err = {id: error};
    return focusFirst();
  }
  form.key = null;
  say(`${app}/${id} is added. Switch it on: its join appears in Live.`);
  location.hash = '#/live';
}

function set(k) {
  return (e) => {
    form.v[k] = /EUI|Key/.test(k) ? cleanHex(e.target.value) : e.target.value.trim();
    if (form.err[k]) form.err = check(form.v);
    redraw();
  };
}

function input(k, {mono, placeholder, list} = {}) {
  const bad = form.err[k];
  return html`<input
      name=${k}
      .value=${form.v[k]}
      ?readonly=${k === 'app' && !owner()}
      class=${mono ? 'mono' : ''}
      list=${list ?? nothing}
      autocomplete="off"
      autocapitalize="none"
      spellcheck="false"
      aria-invalid=${bad ? 'true' : 'false'}
      aria-describedby=${bad ? `err-${k}` : nothing}
      placeholder=${placeholder ?? ''}
      @change=${set(k)}
    />${fault(bad, `err-${k}`)}`;
}

function readQR(e) {
  const read = parseQR(e.target.value);
  if (!read) return;
  Object.assign(form.v, read);
  form.from = 'the QR text';
  redraw();
}

function source() {
  if (form.from) {
    return html`<p class="hintbox">
      ${icon('info')}DevEUI and JoinEUI are from ${form.from}. Only the AppKey is missing: it stands on the sticker or
      in the papers of the device.
    </p>`;
  }
  return field(
    'QR text of the sticker (if it has one)',
    html`<input class="mono" name="qr" placeholder="LW:D0:…" autocomplete="off" spellcheck="false" @input=${readQR} />`,
    'A phone reads the code as text that begins with LW:D0. It fills both EUIs; the AppKey is never in it.',
  );
}

function extra() {
  const v = form.v;
  const plans = [['', 'the default of this gateway'], ...planOptions()];
  return html`<details>
    <summary>More: version, plan, class</summary>
    <div class="g2">
      ${field('LoRaWAN version', select(VERSIONS, v.version, set('version')))}
      ${field('Frequency plan', select(plans, v.plan, set('plan')))}
      ${field(
        'Class',
        select(
          [
            ['A', 'A: listens after it has sent'],
            ['C', 'C: listens always'],
          ],
          v.classC,
          set('classC'),
        ),
      )}
    </div>
    <p class="small muted">An ABP device, or one that has a session already, comes by <a href="#/import">Import</a>.</p>
  </details>`;
}

export function addDevice({query}) {
  if (form.key !== query.toString()) begin(query);
  const v11 = form.v.version === 'MAC_V1_1';
  return html`<div class="head"><h1 tabindex="-1">Add a device</h1></div>
    <form class="card form" @submit=${submit} novalidate>
      ${source()}
      <div class="g2">
        ${field('Application', input('app', {list: 'apps'}), 'The user name of its MQTT clients.')}
        ${field('Device id', input('id', {placeholder: 'barn-temp-3'}), 'In the MQTT topics; it stays as it is.')}
      </div>
      <datalist id="apps">${S.apps.map((a) => html`<option value=${a}></option>`)}</datalist>
      <div class="g2">
        ${field('DevEUI', input('devEUI', {mono: true}))}
        ${field('JoinEUI (or AppEUI)', input('joinEUI', {mono: true}), 'All zeros if there is none.')}
      </div>
      ${field('AppKey', input('appKey', {mono: true}), 'Blanks, colons and 0x are taken out.')}
      ${v11 ? field('NwkKey', input('nwkKey', {mono: true})) : nothing} ${extra()}
      <p class="acts">
        <button class="btn primary" ?disabled=${form.busy}>${icon('plus')}Add device</button>
        <a class="btn" href="#/devices">Cancel</a>
      </p>
    </form>`;
}
