// What is wrong with the page as it is shown now, as a list of sentences. Run by the tests in every page, width and colour
// scheme; the limits are those of WCAG 2.2 AA, and 44 px (36 px in tables) for whatever is pressed.
const wrong = [];
const shown = (element) => element.checkVisibility({ visibilityProperty: true });
const called = (element) => `${element.localName}${element.id ? '#' + element.id : ''} "${(element.innerText || element.value || '').slice(0, 40)}"`;

if (document.documentElement.scrollWidth > innerWidth) {
  const wide = [...document.querySelectorAll('body *')].filter((e) => shown(e) && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.log *'));
  wrong.push(`scrolls sideways: ${document.documentElement.scrollWidth} px, because of ${wide.slice(-3).map(called)}`);
}

// Nothing reaches out of the panel that it stands in.
for (const panel of [...document.querySelectorAll('.panel, section')].filter(shown)) {
  const edge = panel.getBoundingClientRect().right + 1;
  for (const inside of [...panel.querySelectorAll('table, dl, form, p')].filter(shown)) {
    const { right } = inside.getBoundingClientRect();
    if (right > edge && !inside.closest('.log')) wrong.push(`${called(inside)} is ${(right - edge).toFixed(0)} px wider than ${called(panel)}`);
  }
}

if (document.querySelectorAll('h1').length !== 1) wrong.push(`${document.querySelectorAll('h1').length} h1`);
if (!/^\S.* · jd-manager$/.test(document.title)) wrong.push(`title "${document.title}"`);
if (!document.documentElement.lang) wrong.push('no language');
if (document.querySelectorAll('main').length !== 1) wrong.push('not exactly one main');
let level = 1;
for (const heading of [...document.querySelectorAll('h1, h2, h3, h4')].filter(shown)) {
  const now = Number(heading.localName[1]);
  if (now > level + 1) wrong.push(`${called(heading)} skips a level`);
  level = now;
}

const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => wrong.push(`id ${id} twice`));
for (const attribute of ['aria-describedby', 'aria-labelledby', 'for', 'form']) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    for (const id of element.getAttribute(attribute).split(/\s+/)) {
      if (!document.getElementById(id)) wrong.push(`${called(element)} ${attribute} ${id} is nowhere`);
    }
  }
}
document.querySelectorAll('[tabindex]').forEach((e) => { if (e.tabIndex > 0) wrong.push(`${called(e)} jumps the tab order`); });

for (const field of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
  if (![...(field.labels ?? [])].some((l) => l.textContent.trim()) && !field.ariaLabel && !field.hasAttribute('aria-labelledby')) wrong.push(`${called(field)} has no label`);
}
for (const one of [...document.querySelectorAll('a[href], button, summary')].filter(shown)) {
  if (!(one.ariaLabel || one.textContent).trim()) wrong.push(`${one.outerHTML.slice(0, 80)} has no name`);
  // WCAG 2.5.3: what is read is part of what is called.
  const read = one.innerText.trim();
  if (one.ariaLabel && read && !one.ariaLabel.includes(read)) wrong.push(`${called(one)} is called ${one.ariaLabel}`);
}

const pressed = 'button, .button, input:not([type=hidden]), select, textarea, summary, nav a, .brand';
for (const one of [...document.querySelectorAll(pressed)].filter(shown)) {
  const ticked = one.matches('[type=checkbox], [type=radio]');
  const height = Math.max(one.getBoundingClientRect().height, ticked ? one.labels[0]?.getBoundingClientRect().height ?? 0 : 0);
  const least = one.matches('.quiet') || one.closest('td') ? 36 : 44;
  if (height < least - 0.01) wrong.push(`${called(one)} is ${height.toFixed(1)} px high, ${least} wanted`);
}
// Links that are not part of a sentence.
for (const one of [...document.querySelectorAll('td > a, li > a, dd > a')].filter(shown)) {
  if (one.parentElement.innerText.trim() !== one.innerText.trim()) continue;
  const { height } = one.getBoundingClientRect();
  if (height < 24) wrong.push(`${called(one)} is ${height.toFixed(1)} px high, 24 wanted`);
}

// Tables: no column is so narrow that words fall apart, a name has room, and the rows of a dense table are low.
for (const table of [...document.querySelectorAll('table')].filter(shown)) {
  for (const row of [...(table.tBodies[0]?.rows ?? [])].filter(shown)) {
    const isCard = getComputedStyle(row).display !== 'table-row';
    const { height } = row.getBoundingClientRect();
    const longWord = isCard ? 12 : 20;
    // What is unfolded is prose.
    const isOpen = row.querySelector('details[open]') ?? row.closest('details[open]');
    if (!isCard && !isOpen && height > (table.matches('.dense') ? 48 : 160)) wrong.push(`a row is ${height.toFixed(1)} px high: ${called(row)}`);
    for (const cell of [...row.cells].filter(shown)) {
      const { width } = cell.getBoundingClientRect();
      if (!isCard && table.matches('.dense') && cell === row.cells[0] && width < 120) wrong.push(`the names have ${width.toFixed(0)} px: ${called(cell)}`);
      // Names often differ only at their end: one that is cut short has room for some twenty letters.
      const name = table.matches('.dense') && cell === row.cells[0] && cell.querySelector('a');
      if (!isCard && name && name.scrollWidth > name.clientWidth && name.clientWidth < 170) wrong.push(`a name is cut to ${name.clientWidth} px: ${called(cell)}`);
      const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        if (!shown(texts.currentNode.parentElement)) continue;
        for (const word of texts.currentNode.data.matchAll(/[^\s\u200b-]+-?/g)) {
          if (word[0].length > longWord) continue;
          const range = document.createRange();
          range.setStart(texts.currentNode, word.index);
          range.setEnd(texts.currentNode, word.index + word[0].length);
          if (new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size > 1) wrong.push(`"${word[0]}" is broken in a column of ${width.toFixed(0)} px: ${called(cell)}`);
        }
      }
    }
  }
}

const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = channels(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const told = new Set();
for (const element of document.querySelectorAll('body *')) {
  if (![...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !shown(element) || element.closest('option, noscript, :disabled')) continue;
  const style = getComputedStyle(element);
  const [front, back] = [light(channels(style.color)), light(behind(element))];
  const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
  const what = `${element.localName}.${element.className} ${style.color} on ${behind(element)}`;
  if (contrast < (large ? 3 : 4.5) && !told.has(what)) {
    told.add(what);
    wrong.push(`contrast ${contrast.toFixed(2)}: ${what}, ${called(element)}`);
  }
}
return wrong;
