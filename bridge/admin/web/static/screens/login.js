// Log in, and the phone's menu of what is left.
import {html, nothing, icon, code, field, userName} from '../ui.js';
import {S, owner, redraw} from '../state.js';
import {safe} from '../text.js';
import {post, session} from '../api.js';

const view = {error: '', until: 0, busy: false, session: null};
let done = () => {};

/** f is called when somebody has logged in. */
export function onLogin(f) {
  done = f;
}

const wait = () => Math.max(0, Math.ceil((view.until - Date.now()) / 1e3));

/** Counts the seconds until the next try down. */
function count() {
  redraw();
  if (wait()) setTimeout(count, 500);
}

async function submit(e) {
  e.preventDefault();
  const input = e.target.elements.password;
  view.busy = true;
  redraw();
  const {error, wait_s: seconds} = await post('login', {password: input.value});
  Object.assign(view, {busy: false, error: error ?? '', until: Date.now() + (seconds ?? 0) * 1e3});
  if (error) {
    count();
    return input.focus();
  }
  input.value = '';
  done();
}

/** What everybody may know of the daemon. */
export async function look() {
  try {
    view.session = await session();
    S.host = view.session.host ?? '';
  } catch {
    view.error = 'The gateway does not answer.';
  }
  redraw();
  return view.session;
}

function refused() {
  if (!view.error) return nothing;
  const s = wait();
  return html`<p class="err box" role="alert" id="login-error">
    ${icon('bad')}<span>${safe(view.error)} ${s ? `Wait ${s} s before the next try.` : nothing}</span>
  </p>`;
}

const plain = () => view.session && !view.session.tls && !/^(localhost|127\.|\[::1\])/.test(location.hostname);

export function login() {
  const off = view.session?.off;
  return html`<form class="card form login" @submit=${submit}>
    <h1 tabindex="-1">${icon('logo')}lorawand</h1>
    <p class="muted">on ${safe(S.host || location.host)}</p>
    ${refused()} ${userName}
    ${field(
      'Password of this page, or an API key with all rights',
      html`<input
        type="password"
        name="password"
        autocomplete="current-password"
        aria-invalid=${view.error ? 'true' : 'false'}
        required
      />`,
    )}
    <p class="acts"><button class="btn primary" ?disabled=${view.busy || wait() > 0}>Log in</button></p>
    <details ?open=${off}>
      <summary>No password yet, or forgotten?</summary>
      <p>On the gateway, as root:</p>
      ${code('lorawand web password', 'Copy the command')}
      <p class="small muted">Until it is set, this page is off for everybody.</p>
    </details>
    ${
      plain()
        ? html`<p class="small muted">
            ${icon('warn')} This connection is not encrypted: whoever listens on this network can read the password.
            With
            <code>lorawand tls init</code> it is.
          </p>`
        : nothing
    }
  </form>`;
}

const MENU = [
  ['formatters', 'Payload formatters', 'Turn bytes into values'],
  ['integrations', 'Integrations', 'Keys, MQTT clients, Node-RED, Home Assistant'],
  ['system', 'System', 'Version, clock, store, backup, log'],
  ['start', 'First run', 'The four steps again'],
];

export function more() {
  const item = ([id, title, text]) =>
    html`<li>
      <a href="#/${id}">
        ${icon(id === 'start' ? 'play' : id)}<span class="grow"
          ><b>${title}</b><br /><span class="small muted">${text}</span></span
        >
        ${icon('chevron')}
      </a>
    </li>`;
  return html`<h1 tabindex="-1">More</h1>
    <ul class="menu card">
      ${MENU.filter(([id]) => owner() || id !== 'start').map(item)}
      <li>
        <a href="#/logout"
          >${icon('cross')}<span class="grow"><b>Log out</b></span></a
        >
      </li>
    </ul>`;
}
