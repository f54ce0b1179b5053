// What is wrong with the page as it is shown now and axe-core does not find, as a list of sentences. Run by the tests in
// every page, width and colour scheme: nothing scrolls sideways, words are whole, and whatever is pressed has 44 px (36 px in
// tables).
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
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => wrong.push(`id ${id} twice`));
for (const attribute of ['for', 'form']) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    if (!document.getElementById(element.getAttribute(attribute))) wrong.push(`${called(element)} ${attribute} is nowhere`);
  }
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

return wrong;
