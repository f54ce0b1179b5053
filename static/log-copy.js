// Copies lines of a log with their full times: all that are shown, or one. app.js copies what a button holds.
// Without this file there are no such buttons.
(() => {
  'use strict';
  const one = document.createElement('button');
  one.type = 'button';
  one.className = 'copy';
  one.textContent = 'Copy';
  one.title = 'Copy this line';

  function text(line) {
    const copy = line.cloneNode(true);
    copy.querySelector('button')?.remove();
    for (const time of copy.querySelectorAll('time')) time.textContent = time.dateTime;
    return copy.textContent.trim();
  }

  // The button is in the line under the pointer, or in the one whose link has the focus.
  function offer({ target }) {
    const line = target.closest?.('#log .line');
    if (line && one.parentNode !== line) line.append(one);
  }
  document.addEventListener('pointerover', offer);
  document.addEventListener('focusin', offer);
  document.addEventListener('click', ({ target }) => {
    if (target === one) one.dataset.copy = text(one.parentNode);
    else if (target.id === 'log-copy') target.dataset.copy = [...document.querySelectorAll('#log .line')].map(text).join('\n') + '\n';
  }, true);
})();
