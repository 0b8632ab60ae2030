// First run: plan, gateway, key, first device. What is done already is seen by the state of the daemon.
import {
  html,
  nothing,
  icon,
  addDeviceHref,
  block,
  emptyBox,
  eui,
  field,
  fault,
  name,
  repeat,
  waiting,
  when,
} from '../ui.js';
import {S, redraw} from '../state.js';
import {num, plural, safe} from '../text.js';
import {forwarderSettings, gatewayLines, openUDP, reloadCommands} from './gateways.js';
import {keyFacts, keyPanel, makeKey} from './integrations.js';
import {loadPlans, planPicker} from './plans.js';

const run = {step: 1, plan: '', country: '', form: {app: 'app1', name: 'Node-RED', rights: ''}, made: null, error: ''};

function go(n) {
  run.step = n;
  redraw();
  requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector('.step.now h2')?.focus()));
}

const next = (n, label = 'Go on') =>
  html`<p class="acts"><button type="button" class="btn primary" @click=${() => go(n)}>${label}</button></p>`;

function planStep(std) {
  const choose = (plan, country) => {
    Object.assign(run, {plan, country});
    redraw();
  };
  const submit = (e) => {
    e.preventDefault();
    go(2);
  };
  return html`<form class="form" @submit=${submit}>
    ${planPicker(run, choose)}
    ${
      run.plan && run.plan !== std
        ? html`<p class="small">
              The plan of this gateway is ${safe(std)} now. Put this into its configuration, then restart it:
            </p>
            ${block(`[network]\ndefault_frequency_plan = "${run.plan}"`, 'Lines of lorawand.toml')}`
        : nothing
    }
    <p class="acts">
      <button class="btn primary">Go on${run.plan ? nothing : html` with ${safe(std)}`}</button>
    </p>
  </form>`;
}

const connected = () => S.gateways.filter((g) => g.connected);

function seen(g) {
  return html`<div class="problem info">
    <div class="ph">${icon('info')}<b>Seen:</b> ${eui(g.eui)} at ${safe(g.address)}</div>
    <p>Last ${when(g.last)}; ${plural(g.frames, 'frame')} refused. If it is yours, put this into the configuration:</p>
    ${block(gatewayLines(g.eui, run.plan), 'Lines of lorawand.toml')} ${reloadCommands()}
  </div>`;
}

function gatewayStep() {
  const on = connected();
  if (on.length) {
    const line = (g) =>
      html`<p class="allgood">${icon('check')}<span>${name(g.name)} is connected, plan ${safe(g.plan)}.</span></p>`;
    return html`${on.map(line)}${next(3)}`;
  }
  const loopback = /^(127\.|localhost|\[::1\])/.test(S.status.addresses?.udp ?? '');
  return html`<p>
      Set these in the packet forwarder of your gateway (<code>global_conf.json</code> or <code>local_conf.json</code>)
      and restart it:
    </p>
    ${block(forwarderSettings(), 'Settings of the packet forwarder')} ${loopback ? openUDP() : nothing}
    ${S.unknownGateways.length ? S.unknownGateways.map(seen) : waiting('Listening. Nothing yet.')}
    <p class="acts"><button type="button" class="btn" @click=${() => go(3)}>Later</button></p>`;
}

async function make(e) {
  e.preventDefault();
  const made = await makeKey(run.form);
  Object.assign(run, {made: made.error ? null : made, error: made.error ?? ''});
  redraw();
}

function keyForm() {
  const set = (k) => (e) => {
    run.form[k] = e.target.value.trim();
  };
  return html`<form class="form" @submit=${make}>
    <div class="g2">
      ${field(
        'Application',
        html`<input
          name="app"
          .value=${run.form.app}
          autocomplete="off"
          autocapitalize="none"
          required
          @change=${set('app')}
        />`,
        'A name for a group of devices. Also the MQTT user name.',
      )}
      ${field(
        'Key for',
        html`<input
          name="key-name"
          .value=${run.form.name}
          maxlength="60"
          autocomplete="off"
          @change=${set('name')}
        />`,
      )}
    </div>
    ${fault(run.error)}
    <p class="acts">
      <button class="btn primary">Make a key</button>
      <button type="button" class="btn" @click=${() => go(4)}>Later</button>
    </p>
  </form>`;
}

function keyStep() {
  if (!run.made) return keyForm();
  return html`<div class="once inner">
      <h3>${icon('check')} Copy it now: it is shown only this once</h3>
      ${keyFacts(run.made)} ${keyPanel(run.made.app, run.made.key)}
    </div>
    ${next(4, 'I have copied it')}`;
}

function wants(s) {
  const near = s.rssi == null ? '' : `, ${num(s.rssi)} dBm`;
  return html`<div class="problem info">
    <div class="ph">${icon('info')}<b>A device wants in:</b> ${eui(s.devEUI)}</div>
    <p>${plural(s.tries, 'join-request')}, the last ${when(s.last)}${near}. Compare the DevEUI with the sticker.</p>
    <p class="acts">
      <a class="btn primary" href=${addDeviceHref(s)}> ${icon('plus')}It is mine: add it </a>
    </p>
  </div>`;
}

function deviceStep() {
  return html`<p>
      Switch it on. Its join-request appears here; or <a href="#/add">write its data by hand</a>, or
      <a href="#/import">import from The Things Stack</a>.
    </p>
    ${S.strangers.length ? S.strangers.slice(0, 3).map(wants) : waiting('Listening for join-requests. Nothing yet.')}`;
}

function steps(std) {
  const on = connected();
  return [
    ['Where does the gateway stand?', `Frequency plan ${run.plan || std || ''}`, () => planStep(std)],
    ['Is the gateway heard?', on.length ? `${safe(on[0].name)} is connected` : 'Not yet', gatewayStep],
    ['Who reads the data?', S.keys.length ? `${plural(S.keys.length, 'key')} made` : 'No key yet', keyStep],
    ['The first device', '', deviceStep],
  ];
}

function step([title, done, body], i) {
  const n = i + 1;
  const where = n < run.step ? 'done' : n === run.step ? 'now' : 'later';
  return html`<li class="step ${where} card" aria-current=${where === 'now' ? 'step' : nothing}>
    <span class="sn" aria-hidden="true">${where === 'done' ? icon('check') : n}</span>
    <div class="sb">
      <h2 tabindex="-1"><span class="vh">Step ${n} of 4${where === 'done' ? ', done' : ''}: </span>${title}</h2>
      ${
        where === 'done'
          ? html`<p class="sdone">
              ${done}
              <button type="button" class="btn quiet" aria-label="Change: ${title}" @click=${() => go(n)}>
                Change
              </button>
            </p>`
          : nothing
      }
      ${where === 'now' ? body() : nothing}
    </div>
  </li>`;
}

export function start() {
  const std = loadPlans();
  return html`<div class="head">
      <h1 tabindex="-1">First run</h1>
      <div class="acts"><a class="btn quiet" href="#/overview">Skip</a></div>
    </div>
    <p class="lead">Four steps to the first value. Each can be changed later.</p>
    ${
      std
        ? html`<ol class="wizard">
            ${repeat(steps(std), (s) => s[0], step)}
          </ol>`
        : emptyBox('Asking the gateway…', 'Its frequency plans are listed in a moment.')
    }`;
}
