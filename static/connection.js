// Shows when the connection to jd-manager is lost or the session has ended, and the result of pending actions. Keeps forms on the page
// if they would get no response. Everything on the pages works without this file.
(() => {
  'use strict';
  // The connection. A page gets a heartbeat every second on its stream, or requests /health. After SILENCE it requests /health;
  // without a response within ANSWER the connection is lost: together less than 5 s.
  const SILENCE = 1500;
  const ANSWER = 2500;
  let state = 'connected'; // or 'lost', or 'signed-out'
  let heard = Date.now();
  let streamed = Date.now();
  let isProbing = false;
  let isLeaving = false;
  const streams = () => [...document.querySelectorAll('[hx-sse\\:connect]')];
  const unanswered = new Map();

  function show(next) {
    if (next === state) return;
    state = next;
    // This stops the relative times: app.js.
    if (state === 'connected') delete document.documentElement.dataset.connection;
    else document.documentElement.dataset.connection = state;
    const banner = document.getElementById('connection');
    if (!banner) return;
    banner.replaceChildren();
    if (state === 'connected') return;
    const time = new Date(heard).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
    if (state === 'lost') {
      banner.append(`Connection lost. Showing data from ${time}. Reconnecting…`);
      for (const name of unanswered.values()) tell(`No response to “${name}” yet: the connection is lost.`);
    } else {
      const link = document.createElement('a');
      link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      link.textContent = 'Sign in';
      banner.append(`Your session has ended. Showing data from ${time}. `, link);
    }
  }

  // The stream of the page sent something.
  function hear() {
    heard = streamed = Date.now();
    show('connected');
  }

  document.addEventListener('htmx:sse:before:message', hear);
  document.addEventListener('htmx:sse:after:connection', hear);
  document.addEventListener('htmx:sse:error', ({ detail: { status } }) => {
    if (status === 401) show('signed-out');
    else if (status && status < 500) hear();
    else probe();
  });

  // Aborts a waiting stream, so that it reconnects immediately.
  function reconnect() {
    streamed = Date.now();
    for (const { _htmx } of streams()) {
      _htmx?.sse?.reader?.cancel();
      _htmx?.sse?.delayCanceller?.();
    }
  }

  // The response from `path`, or null after a timeout. A proxy responds with 5xx if jd-manager does not respond.
  async function ask(path, patience) {
    const control = new AbortController();
    const timer = setTimeout(() => control.abort(), patience);
    try {
      const answer = await fetch(path, { signal: control.signal, cache: 'no-store', headers: { Accept: 'application/json' } });
      return answer.status < 500 || answer.headers.get('Content-Type')?.includes('problem+json') ? answer : null;
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  async function probe() {
    if (isProbing || isLeaving || document.hidden) return;
    isProbing = true;
    const answer = await ask('/health', ANSWER);
    isProbing = false;
    if (isLeaving || document.hidden) return;
    if (!answer) {
      show('lost');
    } else if (state === 'lost' && streams().some(({ _htmx }) => _htmx?.sse)) {
      // What the page shows is old until its stream is there again.
      reconnect();
    } else {
      heard = Date.now();
      if (state === 'lost') show('connected');
    }
  }
  setInterval(() => {
    if (document.hidden || isLeaving) return;
    const now = Date.now();
    if (now - heard > SILENCE) probe();
    // jd-manager responds, but the stream is dead, for example after sleep mode.
    if (state === 'connected' && now - streamed > 4 * SILENCE) reconnect();
  }, 500);
  document.addEventListener('visibilitychange', () => { streamed = Date.now(); probe(); });
  addEventListener('pagehide', () => { isLeaving = true; });
  addEventListener('pageshow', () => { isLeaving = false; });

  // Shows a message about a failed action.
  function tell(text, link) {
    const notice = document.createElement('section');
    notice.className = 'panel attention';
    const line = notice.appendChild(document.createElement('p'));
    line.textContent = text;
    if (link) line.append(' ', link);
    const notices = document.getElementById('notices');
    notices?.replaceChildren(notice);
    notices?.scrollIntoView({ block: 'nearest' });
  }
  const called = (button) => (button?.ariaLabel || button?.textContent || 'Your change').trim();
  const isAction = (ctx) => ctx.sourceElement?.matches?.('form');
  document.addEventListener('htmx:before:request', (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement?.hasAttribute?.('hx-sse:connect')) return;
    const name = called(ctx.sourceEvent?.submitter ?? ctx.sourceElement.querySelector?.('button'));
    if (state === 'lost') {
      event.preventDefault();
      if (isAction(ctx)) tell(`“${name}” was not sent: there is no connection to jd-manager.`);
    } else if (isAction(ctx)) {
      unanswered.set(ctx, name);
    }
  });
  const failed = (ctx) => { if (isAction(ctx)) tell(`“${unanswered.get(ctx) ?? 'Your change'}” failed: jd-manager did not respond.`); };
  document.addEventListener('htmx:error', ({ detail: { ctx } }) => {
    if (!ctx || ctx.sourceElement?.hasAttribute?.('hx-sse:connect')) return;
    failed(ctx);
    probe();
  });
  // The error page of a proxy must not replace a part of this page.
  document.addEventListener('htmx:before:response', (event) => {
    const { ctx } = event.detail;
    if (ctx.response.status < 500 || ctx.response.headers.get('HX-Retarget')) return;
    event.preventDefault();
    failed(ctx);
    probe();
  });
  document.addEventListener('htmx:finally:request', ({ detail: { ctx } }) => { unanswered.delete(ctx); });

  // Submits a form only if connection and session are valid. Otherwise the input would be lost.
  document.addEventListener('submit', async (event) => {
    const form = event.target;
    // Fields may have the same names as these properties.
    const [method, action, target] = ['method', 'action', 'target'].map((name) => form.getAttribute(name) ?? '');
    if (event.defaultPrevented || method !== 'post' || target || !form.requestSubmit) return;
    if (form.dataset.sent) {
      delete form.dataset.sent;
      return;
    }
    event.preventDefault();
    if (form.dataset.asking) return;
    form.dataset.asking = '1';
    const { submitter } = event;
    const answer = await ask(action.startsWith('/login') ? '/health' : '/account', 2 * ANSWER);
    delete form.dataset.asking;
    if (!answer) {
      tell(`“${called(submitter)}” was not sent: there is no connection to jd-manager. Your input is still here.`);
      probe();
    } else if (answer.status === 401) {
      const link = document.createElement('a');
      link.href = '/login';
      link.target = '_blank';
      link.textContent = 'Sign in (opens a new tab)';
      tell(`Your session has ended. Nothing was sent, and your input is still here. Sign in, then press “${called(submitter)}” again.`, link);
    } else {
      form.dataset.sent = '1';
      form.requestSubmit(submitter?.isConnected ? submitter : undefined);
    }
  });
})();
