import { h, put } from './dom.js'
import { t, labelled, name } from './i18n.js'
import { can, get, path, post } from './api.js'
import { ask, commandLine, field, toast } from './dialog.js'
import { limitCurve, sparkline } from './chart.js'
import { facts } from './table.js'
import { useKeys } from './keys.js'
import { backtestReport, link, panel, planTable, severity, time } from './parts.js'
import * as decimal from './decimal.js'
import * as format from './format.js'

/** The step of a slider or spinner: the file's, else one in the last digit that the value has, else a fiftieth rounded down to a power of ten. */
function stepOf(parameter) {
  if (parameter.step) return parameter.step
  const parsed = decimal.parse(parameter.value)
  if (!parsed || parameter.type === 'integer') return '1'
  const size = Math.abs(Number(parameter.value)) / 50
  const exponent = size > 0 ? Math.floor(Math.log10(size)) : -parsed.scale
  return exponent >= 0 ? `1${'0'.repeat(exponent)}` : `0.${'0'.repeat(-exponent - 1)}1`
}

/** From where to where a limit is tried: the file's bounds, else half to twice its value. */
function rangeOf(parameter, scale) {
  const parsed = decimal.parse(parameter.value)
  const times = (units) => decimal.text({ units, scale: parsed.scale })
  if (parameter.min && parameter.max) return [parameter.min, parameter.max]
  const positive = parsed.units > 0n
  return [parameter.min ?? (positive ? times(parsed.units / 2n || 1n) : '0'), parameter.max ?? (positive ? times(parsed.units * 2n) : scale)]
}

function control(parameter) {
  const id = `parameter-${parameter.name}`
  const common = { name: parameter.name, id, value: parameter.value, required: true, autocomplete: 'off', spellcheck: 'false' }
  if (parameter.type === 'boolean') {
    return h('select', { name: parameter.name, id }, ...['true', 'false'].map((each) => h('option', { value: each, selected: each === parameter.value }, t(`tree.${each === 'true' ? 'yes' : 'no'}`))))
  }
  // `text` with a numeric keyboard: `number` would turn a decimal into a binary float.
  if (parameter.type === 'integer') return h('input', { ...common, inputmode: 'numeric', pattern: '-?\\d+' })
  if (parameter.type === 'decimal') return h('input', { ...common, inputmode: 'decimal', pattern: '-?\\d+(\\.\\d+)?' })
  if (parameter.type === 'duration') return h('input', { ...common, pattern: '\\d+(ms|s|m|h|d)' })
  return h('input', common)
}

function hintOf(parameter) {
  const parts = [labelled(parameter.description), name('type', parameter.type)]
  if (parameter.min !== null && parameter.min !== undefined) parts.push(t('rule.least', { value: format.number(parameter.min) }))
  if (parameter.max !== null && parameter.max !== undefined) parts.push(t('rule.most', { value: format.number(parameter.max) }))
  parts.push(t('rule.default', { value: format.number(parameter.default) }))
  if (!parameter.hot) parts.push(t('rule.not-hot'))
  return parts.filter(Boolean).join('; ')
}

export async function show(context) {
  const { main, heading, signal, params } = context
  const detail = await get(path('topologies', params.topology, 'rules', params.rule), {}, signal)
  const running = await get(path('topologies', params.topology, 'text'), {}, signal)
  const { rule } = detail
  context.title(rule.name)
  const parameters = detail.parameters ?? []
  const mayWrite = can('createChange')
  const inputs = new Map(parameters.map((parameter) => [parameter.name, control(parameter)]))
  const curveBox = h('div', {})
  const words = h('div', { 'aria-live': 'polite' })
  const reportBox = h('div', {})
  let curve = null
  let curveOf = null
  let planTimer = null

  const changed = () => parameters.filter((parameter) => inputs.get(parameter.name).value !== parameter.value)
  const chosen = () => ({ ...running.parameters, ...Object.fromEntries(changed().map((parameter) => [parameter.name, inputs.get(parameter.name).value])) })

  function check() {
    let fine = true
    for (const parameter of parameters) {
      const input = inputs.get(parameter.name)
      const low = parameter.min, high = parameter.max
      const outside = (low && decimal.compare(input.value, low) === -1) || (high && decimal.compare(input.value, high) === 1)
      input.setCustomValidity(outside ? t('rule.outside', { low: low ?? '–', high: high ?? '–' }) : '')
      fine &&= input.checkValidity()
    }
    return fine
  }

  function drawWords(plan) {
    const list = changed()
    for (const button of [propose, tryOut]) button.disabled = list.length === 0
    command.refresh()
    put(words, list.length === 0 ? h('p', { class: 'muted' }, t('plan.same'))
      : h('ul', { class: 'words' }, ...list.map((parameter) => h('li', {}, h('strong', {}, labelled(parameter.label) || parameter.name), ': ', h('del', {}, format.number(parameter.value)), ' → ', h('ins', {}, format.number(inputs.get(parameter.name).value)), parameter.unit ? ` ${parameter.unit}` : ''))),
    plan && planTable(plan))
  }

  async function judge() {
    if (!check()) { put(words, h('p', { class: 'problem' }, t('rule.wrong-values'))); for (const button of [propose, tryOut]) button.disabled = true; return }
    drawWords()
    if (changed().length === 0 || !can('planText')) return
    try {
      const plan = await post('/api/plan', { topology: params.topology, text: running.text, parameters: chosen() })
      if (!signal.aborted) drawWords(plan)
    } catch (error) {
      put(words, h('p', { class: 'problem' }, error.message), ...error.diagnostics.map((each) => h('p', {}, `${each.line}:${each.column} ${each.message}`)))
    }
  }

  function edited(input) {
    const parameter = parameters.find((each) => each.name === input.name)
    if (curve && curveOf === parameter?.name && decimal.parse(input.value)) curve.move(input.value)
    clearTimeout(planTimer)
    planTimer = setTimeout(judge, 350)
    check()
    drawWords()
  }

  async function backtest(withCurve) {
    const about = withCurve ?? null
    const range = about ? rangeOf(about, '100') : null
    const values = await ask({
      title: about ? t('rule.curve-title') : t('backtest.title'), confirm: t('backtest.start'),
      intro: h('p', {}, t('backtest.about')),
      fields: [
        field(t('filter.from'), h('input', { type: 'date', name: 'from' }), t('backtest.all')), field(t('filter.to'), h('input', { type: 'date', name: 'to' })),
        about && field(t('rule.curve-from', { name: about.name }), h('input', { name: 'low', value: range[0], required: true, pattern: '-?\\d+(\\.\\d+)?' })),
        about && field(t('rule.curve-to', { name: about.name }), h('input', { name: 'high', value: range[1], required: true, pattern: '-?\\d+(\\.\\d+)?' })),
      ].filter(Boolean),
      command: (given) => `millrace backtest OLD.yaml NEW.yaml${given.from ? ` --from ${given.from}` : ''}${given.to ? ` --to ${given.to}` : ''}${about ? ` --curve ${about.name}=${given.low}..${given.high}` : ''}`,
      act: (given) => post('/api/backtests', {
        topology: params.topology, text: running.text, parameters: chosen(), from: given.from || undefined, to: given.to || undefined,
        curve: about ? { parameter: about.name, from: given.low, to: given.high, points: 20 } : undefined,
      }),
    })
    if (values) await follow(values.id, about)
  }

  async function follow(id, about) {
    const bar = h('progress', { max: 1, value: 0, 'aria-label': t('backtest.running') })
    const text = h('p', { role: 'status' }, t('backtest.running'))
    put(reportBox, panel(t('backtest.title'), text, bar))
    while (!signal.aborted) {
      const run = await get(path('backtests', id), {}, signal)
      bar.max = Math.max(1, run.progress?.total ?? 1)
      bar.value = run.progress?.done ?? 0
      if (run.state === 'done') {
        put(reportBox, panel(t('backtest.title'), h('p', { role: 'status' }, t('backtest.done')), backtestReport(run.report)))
        if (run.report?.curve?.length > 1 && about) drawCurve(about, run.report.curve)
        reportBox.querySelector('h2')?.setAttribute('tabindex', '-1')
        return
      }
      if (!['running', 'waiting', 'queued'].includes(run.state)) {
        put(reportBox, panel(t('backtest.title'), h('p', { class: 'problem', role: 'alert' }, run.error?.message ?? run.error ?? run.state)))
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }

  function drawCurve(parameter, points) {
    const input = inputs.get(parameter.name)
    const sorted = [...points].sort((a, b) => decimal.compare(a.value, b.value) ?? 0)
    curveOf = parameter.name
    curve = limitCurve({
      title: t('curve.title', { name: labelled(parameter.label) || parameter.name }), unit: parameter.unit, points: sorted, now: parameter.value,
      value: input.value, step: stepOf(parameter), onMove: (value) => { input.value = value; edited(input) },
    })
    put(curveBox, panel(t('rule.curve'), curve))
    curve.querySelector('[role="slider"]').focus()
  }

  const propose = h('button', {
    type: 'submit', class: 'primary', disabled: true,
  }, t('rule.propose'))
  const tryOut = h('button', { type: 'button', disabled: true, onclick: () => backtest(null).catch((error) => toast(error.message, { error: true })) }, t('backtest.title'))
  const setting = () => changed().map((parameter) => ` --set ${parameter.name}=${inputs.get(parameter.name).value}`).join('')
  const command = commandLine(() => `millrace rules propose ${params.topology}${setting()}`)
  const form = h('form', {
    oninput: (event) => edited(event.target), onsubmit: async (event) => {
      event.preventDefault()
      const list = changed()
      if (!check() || list.length === 0) return
      const title = list.map((parameter) => `${parameter.name} ${parameter.value} -> ${inputs.get(parameter.name).value}`).join(', ').slice(0, 200)
      const made = await ask({
        title: t('rule.propose-title'), confirm: t('rule.propose'),
        fields: [
          field(t('change.title'), h('input', { name: 'title', value: title, required: true, maxlength: 200 })),
          field(t('change.reason'), h('textarea', { name: 'reason', required: true, maxlength: 2000, autofocus: true })),
        ],
        command: (values) => `millrace rules propose ${params.topology}${setting()} --title '${values.title}' --reason '${values.reason}'`,
        act: (values) => post('/api/changes', { topology: params.topology, title: values.title, reason: values.reason, text: running.text, parameters: chosen() }),
      })
      if (made) location.hash = link('changes', made.id)
    },
  }, parameters.length === 0 && h('p', { class: 'muted' }, t('rule.no-parameters')),
  ...parameters.map((parameter) => {
    const input = inputs.get(parameter.name)
    input.disabled = !mayWrite
    return h('div', {}, field(`${labelled(parameter.label) || parameter.name}${parameter.unit ? ` (${parameter.unit})` : ''}`, input, hintOf(parameter)),
      mayWrite && can('startBacktest') && ['decimal', 'integer'].includes(parameter.type) && h('p', {}, h('button', {
        type: 'button', onclick: () => backtest(parameter).catch((error) => toast(error.message, { error: true })),
      }, t('rule.show-curve', { name: parameter.name }))))
  }),
  mayWrite && parameters.length > 0 && [h('h3', {}, t('rule.difference')), words, h('div', { class: 'buttons' }, propose, can('startBacktest') && tryOut), command])

  put(main, h('p', { class: 'small' }, h('a', { href: '#/rules' }, t('screen.rules'))), heading,
    h('div', { class: 'panel' }, facts([
      [t('field.topology'), h('a', { href: link('text', rule.topology) }, rule.topology)], [t('field.severity'), severity(rule.severity)], [t('field.risk'), name('risk', rule.risk)], [t('field.measure'), detail.measure],
      [t('rules.hits'), [format.number(rule.hits_24h), ' ', sparkline(rule.hits_per_hour ?? [], t('rules.trend'))]], [t('overview.open'), format.number(rule.open)], [t('rules.false-positives'), format.percent(rule.false_positive_share)],
      [t('rules.changed'), rule.last_change && [time(rule.last_change.at), ` ${rule.last_change.author}`, rule.last_change.reason && `: ${rule.last_change.reason}`]],
    ])),
    h('div', { class: 'wide-left' },
      h('div', {}, curveBox, panel(t('rule.parameters'), form), reportBox),
      h('div', {}, panel(t('rule.condition'), h('h3', {}, t('rule.when')), h('pre', { tabindex: 0 }, rule.when), detail.clear && [h('h3', {}, t('rule.clear')), h('pre', { tabindex: 0 }, detail.clear)], h('h3', {}, t('field.message')), h('p', { class: 'wrap' }, detail.message ?? '')),
        panel(t('rule.text'), h('pre', { tabindex: 0 }, detail.text), h('div', { class: 'buttons' }, h('a', { class: 'button', href: `${link('text', rule.topology)}?line=${detail.first_line}` }, t(mayWrite ? 'rule.edit-text' : 'rule.whole-text')), h('a', { class: 'button', href: link('history', rule.topology) }, t('screen.history'))), detail.command && commandLine(detail.command)))))
  if (mayWrite) drawWords()
  useKeys([['e', 'keys.edit', () => (curve?.querySelector('[role="slider"]') ?? form.querySelector('input, select'))?.focus()], ...(mayWrite ? [['a', 'keys.propose', () => { if (!propose.disabled) form.requestSubmit() }]] : [])])
}
