// What several screens show in the same way.

import { h, s, put } from './dom.js'
import { t, name } from './i18n.js'
import { field } from './dialog.js'
import { behind } from './chart.js'
import * as format from './format.js'

export const severities = ['critical', 'high', 'medium', 'low']

/** A severity by word, by bars and by colour: never by colour alone. */
export function severity(value) {
  const bars = 4 - Math.max(0, severities.indexOf(value))
  return h('span', { class: `severity ${severities.includes(value) ? value : ''}` },
    s('svg', { viewBox: '0 0 16 12', width: 16, height: 12, 'aria-hidden': 'true' },
      ...[1, 2, 3, 4].map((bar) => s('rect', { x: (bar - 1) * 4, y: 12 - bar * 3, width: 3, height: bar * 3, class: bar <= bars ? 'on' : null }))),
    name('severity', value))
}

export function status(alert) {
  const kind = { open: 'warn', taken: '', snoozed: '', closed: 'good' }[alert.status]
  return h('span', { class: `tag ${kind ?? ''}` }, name('status', alert.status))
}

/** An address of this page, its parts escaped. */
export function link(...parts) { return `#/${parts.map(encodeURIComponent).join('/')}` }

export function time(value, options) {
  return h('time', { datetime: value ?? null, title: `${format.zoneName()}` }, format.time(value, options))
}

/** A list behind a heading. */
export function panel(title, ...content) {
  return h('section', { class: 'panel' }, h('h2', {}, title), ...content)
}

/** Which of the topologies a screen is about: the address's, else the first. Draws a select where there are several. */
export function topologyChoice(context, screen) {
  const names = context.topologies.map((topology) => topology.name)
  const chosen = context.params.topology ?? names[0]
  const select = h('select', { onchange: () => { location.hash = link(screen, select.value) } },
    ...(names.includes(chosen) || !chosen ? names : [chosen, ...names]).map((each) => h('option', { value: each, selected: each === chosen }, each)))
  return { chosen, filters: names.length > 1 ? h('div', { class: 'filters' }, field(t('field.topology'), select)) : null }
}

/** A short hash, whole in its title. */
export function hash(value) {
  const text = String(value ?? '')
  return text ? h('code', { title: text }, text.replace(/^sha256:/, '').slice(0, 12)) : null
}

/** A button that fetches the next page until there is none. */
export function more(load) {
  const button = h('button', {
    type: 'button', onclick: async () => {
      button.disabled = true
      try { await load() } finally { button.disabled = false }
    },
  }, t('table.more'))
  button.hidden = true
  return button
}

/** Differences in words: which parameter or element goes from what to what. */
export function differences(plan) {
  const list = plan?.differences ?? []
  if (list.length === 0) return h('p', { class: 'muted' }, t('plan.same'))
  return h('ul', { class: 'words' }, ...list.map((each) => h('li', {}, `${name('kind', each.kind)} `, h('strong', {}, each.name), ': ',
    each.old !== undefined && each.old !== null ? h('del', {}, format.number(each.old)) : h('span', { class: 'muted' }, t('plan.absent')),
    ' → ',
    each.new !== undefined && each.new !== null ? h('ins', {}, format.number(each.new)) : h('span', { class: 'muted' }, t('plan.absent')))))
}

/** What a change takes, per element. */
export function planTable(plan) {
  if (!plan) return null
  const rows = plan.elements ?? []
  return [
    h('p', {}, h('span', { class: `tag ${plan.class === 'hot' ? 'good' : 'warn'}` }, name('class', plan.class)), ' ', t(`plan.${plan.class}`)),
    rows.length > 0 && h('div', { class: 'scroll', role: 'region', 'aria-label': t('plan.elements'), tabindex: 0 }, h('table', {},
      h('caption', {}, t('plan.elements')),
      h('thead', {}, h('tr', {}, ...['plan.element', 'plan.class', 'plan.reason'].map((key) => h('th', { scope: 'col' }, t(key))))),
      h('tbody', {}, ...rows.map((row) => h('tr', {}, h('th', { scope: 'row' }, row.element), h('td', {}, name('class', row.class)), h('td', { class: 'wrap' }, row.reason)))))),
  ]
}

/** Mistakes of a text by line. */
export function diagnostics(list, onLine) {
  if (!list?.length) return h('p', { class: 'good-notice' }, t('lint.clean'))
  return h('ul', { class: 'words' }, ...list.map((each) => h('li', {},
    h('span', { class: `tag ${each.severity === 'error' ? 'bad' : 'warn'}` }, name('lint', each.severity)), ' ',
    onLine ? h('button', { type: 'button', class: 'quiet', onclick: () => onLine(each.line, each.column) }, t('lint.at', { line: each.line, column: each.column }))
      : h('code', {}, `${each.file}:${each.line}:${each.column}`), ' ', each.message)))
}

/** A backtest's numbers side by side. */
export function backtestReport(report) {
  if (!report) return null
  const days = (each) => (each ? `${format.number(each.min)} / ${format.number(each.median)} / ${format.number(each.max)}` : '–')
  const heads = ['rule', 'a', 'b', 'both', 'only-a', 'only-b', 'retimed', 'customers', 'days']
  return [
    h('p', {}, t('backtest.span', { from: format.time(report.from), to: format.time(report.to), records: format.number(report.records) })),
    report.warm_up && h('p', { class: report.warm_up.percent < 100 ? 'notice' : 'muted' }, t('backtest.warm-up', { percent: format.number(report.warm_up.percent) })),
    report.dead_letters > 0 && h('p', { class: 'notice' }, t('backtest.dead', { dead: format.number(report.dead_letters) })),
    h('div', { class: 'scroll', role: 'region', 'aria-label': t('backtest.table'), tabindex: 0 }, h('table', {}, h('caption', {}, t('backtest.table')),
      h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col', class: head === 'rule' ? null : 'number' }, t(`backtest.${head}`))))),
      h('tbody', {}, ...(report.rules ?? []).map((rule) => h('tr', {}, h('th', { scope: 'row' }, rule.rule),
        ...[rule.a, rule.b, rule.both, rule.only_a, rule.only_b, rule.retimed].map((value) => h('td', { class: 'number' }, format.number(value))),
        h('td', { class: 'number' }, `${format.number(rule.customers_a)} → ${format.number(rule.customers_b)}`),
        h('td', { class: 'number' }, `${days(rule.days_a)} → ${days(rule.days_b)}`)))))),
    ...(report.rules ?? []).filter((rule) => rule.samples_only_a?.length || rule.samples_only_b?.length).map((rule) => h('details', {},
      h('summary', {}, t('backtest.samples', { rule: rule.rule })), h('ul', { class: 'words' },
        ...(rule.samples_only_b ?? []).map((each) => h('li', {}, `${t('backtest.only-b')}: ${each}`)),
        ...(rule.samples_only_a ?? []).map((each) => h('li', {}, `${t('backtest.only-a')}: ${each}`))))),
  ]
}

export { behind, put }
