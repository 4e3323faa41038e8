import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { can, get, me, path, post } from './api.js'
import { ask, commandLine, field, toast } from './dialog.js'
import { facts } from './table.js'
import { useKeys } from './keys.js'
import { acknowledgements } from './acknowledgements.js'
import { backtestReport, diagnostics, differences, hash, link, panel, planTable, time } from './parts.js'
import { rollBack } from './rollback.js'
import { stateTag } from './screen-changes.js'
import * as format from './format.js'

const quoted = (text) => `'${String(text ?? '').replaceAll("'", "'\\''")}'`

export async function show(context) {
  const { main, heading, signal, params } = context
  let detail = await get(path('changes', params.id), {}, signal)
  let job = null
  let backtest = null
  const stepper = h('ol', { class: 'steps' })
  const buttons = h('div', { class: 'buttons' })
  const about = h('div', {})
  const body = h('div', {})
  const report = h('div', {})
  const side = h('div', {})
  const jobBox = h('div', {})
  const tasks = h('div', {})
  const jobText = h('p', { role: 'status' })
  jobBox.append(jobText)
  let following = null

  const change = () => detail.change
  const isOwn = () => change().author === me().name
  const errors = () => (detail.diagnostics ?? []).filter((each) => each.severity === 'error')

  function drawStepper() {
    const { state, approvals = [], approvals_needed: needed } = change()
    const clean = errors().length === 0
    const submitted = ['submitted', 'approved', 'active'].includes(state)
    const approved = ['approved', 'active'].includes(state)
    const steps = [
      ['draft', true, change().author],
      ['lint', clean, clean ? t('step.clean') : t('step.mistakes', { count: errors().length })],
      ['plan', Boolean(detail.plan), detail.plan ? name('class', detail.plan.class) : t('step.not-yet')],
      ['backtest', backtest?.state === 'done' || Boolean(change().backtest), backtest ? name('run', backtest.state) : change().backtest ? t('step.done') : t('step.not-yet')],
      ['submit', submitted, submitted && change().submitted_at ? format.time(change().submitted_at, { seconds: false }) : t('step.not-yet')],
      ['review', approved, `${format.number(approvals.length)} / ${format.number(needed)}`],
      ['active', state === 'active', state === 'active' ? t('step.epoch', { epoch: format.number(change().epoch) }) : t('step.not-yet')],
    ]
    const current = state === 'active' ? 6 : state === 'approved' ? 6 : state === 'submitted' ? 5 : !clean ? 1 : 4
    put(stepper, ...steps.map(([key, done, say], index) => h('li', { 'aria-current': index === current ? 'step' : null, class: done ? 'done' : null },
      h('span', { class: 'name' }, t(`step.${key}`)), h('span', { class: 'say' }, say))))
  }

  function draw() {
    const one = change()
    context.title(one.title)
    drawStepper()
    put(about, facts([
      [t('field.state'), stateTag(one.state)], [t('field.topology'), h('a', { href: link('text', one.topology) }, one.topology)], [t('field.author'), one.author], [t('change.reason'), one.reason],
      [t('change.base'), format.number(one.base_epoch)], [t('field.ruleset'), hash(one.ruleset)], [t('field.updated'), time(one.updated_at)], [t('change.outcome'), one.outcome],
    ]))
    const drafts = ['draft', 'returned'].includes(one.state)
    put(buttons,
      drafts && can('submitChange') && h('button', { type: 'button', class: 'primary', disabled: errors().length > 0, onclick: submit }, t('change.submit')),
      drafts && can('startBacktest') && h('button', { type: 'button', onclick: test }, t('backtest.title')),
      ['draft', 'returned', 'submitted'].includes(one.state) && can('editChange') && h('a', { class: 'button', href: `${link('text', one.topology)}?change=${encodeURIComponent(one.id)}` }, t('change.edit')),
      one.state === 'submitted' && can('approveChange') && !isOwn() && [h('button', { type: 'button', class: 'primary', onclick: approve }, t('change.approve')), h('button', { type: 'button', onclick: giveBack }, t('change.return'))],
      one.state === 'approved' && can('activateChange') && !isOwn() && h('button', { type: 'button', class: 'primary', onclick: activate }, t('change.activate')),
      ['draft', 'returned', 'submitted', 'approved'].includes(one.state) && can('discardChange') && isOwn() && h('button', { type: 'button', onclick: discard }, t('change.discard')),
      can('rollBack') && h('button', { type: 'button', onclick: back }, t('rollback.title')))
    put(body,
      one.state === 'submitted' && isOwn() && h('p', { class: 'notice' }, t('change.own')),
      one.state === 'active' ? panel(t('rule.difference'), detail.plan?.differences?.length ? [h('p', { class: 'muted' }, t('plan.since')), differences(detail.plan)] : h('p', { class: 'good-notice' }, t('plan.runs')))
        : panel(t('rule.difference'), differences(detail.plan), planTable(detail.plan)),
      panel(t('text.lint'), diagnostics(detail.diagnostics)),
      panel(t('change.text'), h('details', {}, h('summary', {}, t('change.show-text')), h('pre', { tabindex: 0 }, detail.text))))
    put(side,
      panel(t('change.approvals'), one.approvals?.length ? h('ol', { class: 'timeline' }, ...one.approvals.map((each) => h('li', {}, time(each.at), h('strong', {}, each.by), each.comment && `: ${each.comment}`, h('div', { class: 'small' }, hash(each.ruleset))))) : h('p', { class: 'muted' }, t('change.no-approvals'))),
      panel(t('change.events'), detail.events?.length ? h('ol', { class: 'timeline' }, ...detail.events.map((each) => h('li', {}, time(each.at), h('strong', {}, each.who), ` ${name('action', each.action)}`, each.reason && h('div', { class: 'wrap' }, each.reason)))) : h('p', { class: 'muted' }, t('table.empty')), detail.command && commandLine(detail.command)))
    if (one.state === 'active' && one.epoch && !tasks.firstChild) followTasks(Number(one.epoch))
  }

  function followTasks(epoch) { put(tasks, panel(t('activation.title'), acknowledgements(context, change().topology, epoch, () => reload().catch(() => {})))) }

  async function reload() {
    const before = change().state
    detail = await get(path('changes', params.id), {}, signal)
    const focused = document.activeElement
    draw()
    // A button that a step took away leaves the focus on the heading, not at the top of the page.
    if (focused && !focused.isConnected && before !== change().state) heading.focus()
  }

  async function acted(promise) {
    const done = await promise
    if (done === undefined) return
    await reload().catch(() => {})
    heading.focus()
  }

  function step(verb, { title, label, key, required, danger, intro, extra = {} }) {
    return ask({
      title, confirm: title, danger, intro,
      fields: key ? [field(label, h('textarea', { name: key, required, maxlength: 2000, autofocus: true, value: key === 'reason' ? change().reason ?? '' : '' }))] : [],
      command: (values) => `millrace rules ${verb} ${change().id}${key && values[key] ? ` --${key} ${quoted(values[key])}` : ''}`,
      act: (values) => post(path('changes', change().id, verb), { ...(key ? { [key]: values[key] } : {}), ...extra }, change().revision),
    })
  }
  const submit = () => acted(step('submit', { title: t('change.submit'), label: t('change.reason'), key: 'reason', required: true }))
  const approve = () => acted(step('approve', { title: t('change.approve'), label: t('change.comment'), key: 'comment', intro: [h('p', {}, t('change.approve-about')), differences(detail.plan)] }))
  const giveBack = () => acted(step('return', { title: t('change.return'), label: t('change.comment'), key: 'comment', required: true }))
  const discard = () => acted(step('discard', { title: t('change.discard'), label: t('change.reason'), key: 'reason', danger: true }))
  async function activate() {
    const isHot = detail.plan?.class === 'hot'
    const started = await step('activate', {
      title: t('change.activate'), intro: [h('p', {}, t(isHot ? 'change.activate-hot' : 'change.activate-other')), differences(detail.plan)],
      extra: isHot ? {} : { begin_empty: detail.plan?.class === 'warm-start' || detail.plan?.class === 'mixed', restart: detail.plan?.class === 'restart' },
    })
    if (started?.job) follow(started.job)
  }
  async function back() {
    try {
      const started = await rollBack(change().topology)
      if (started?.job) follow(started.job)
    } catch (error) { toast(error.message, { error: true }) }
  }

  async function follow(id) {
    following = id
    heading.focus()
    while (!signal.aborted && following === id) {
      try { job = await get(path('jobs', id), {}, signal) } catch (error) { if (signal.aborted) return; jobText.textContent = error.message; return }
      jobText.className = { refused: 'problem', failed: 'problem', done: 'good-notice' }[job.state] ?? 'notice'
      const text = [name('job', job.state), job.state === 'preparing' ? t('activation.prepared', { done: format.number(job.prepared ?? 0), tasks: format.number(job.tasks ?? 0) }) : '', ...(job.reasons ?? []).map((each) => (typeof each === 'string' ? each : each.message ?? each.reason ?? JSON.stringify(each))), job.error?.message ?? job.error ?? ''].filter(Boolean).join('\n')
      if (jobText.textContent !== text) jobText.textContent = text
      if (job.epoch && ['activated', 'done'].includes(job.state) && !tasks.firstChild) followTasks(job.epoch)
      if (['done', 'refused', 'failed'].includes(job.state)) {
        await reload().catch(() => {})
        tasks.querySelector('[data-acknowledged]')?.load()
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }

  async function test() {
    try {
      const values = await ask({
        title: t('backtest.title'), confirm: t('backtest.start'), intro: h('p', {}, t('backtest.about')),
        fields: [field(t('filter.from'), h('input', { type: 'date', name: 'from' }), t('backtest.all')), field(t('filter.to'), h('input', { type: 'date', name: 'to' }))],
        command: (given) => `millrace backtest OLD.yaml NEW.yaml${given.from ? ` --from ${given.from}` : ''}${given.to ? ` --to ${given.to}` : ''}`,
        act: (given) => post('/api/backtests', { topology: change().topology, change: change().id, from: given.from || undefined, to: given.to || undefined }),
      })
      if (values) await followTest(values.id)
    } catch (error) { toast(error.message, { error: true }) }
  }
  async function followTest(id) {
    const bar = h('progress', { max: 1, value: 0, 'aria-label': t('backtest.running') })
    const text = h('p', { role: 'status' }, t('backtest.running'))
    put(report, panel(t('backtest.title'), text, bar))
    while (!signal.aborted) {
      backtest = await get(path('backtests', id), {}, signal)
      bar.max = Math.max(1, backtest.progress?.total ?? 1)
      bar.value = backtest.progress?.done ?? 0
      if (!['running', 'waiting', 'queued'].includes(backtest.state)) break
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    put(report, panel(t('backtest.title'), backtest.state === 'done' ? [h('p', { role: 'status' }, t('backtest.done')), backtestReport(backtest.report)] : h('p', { class: 'problem', role: 'alert' }, backtest.error?.message ?? backtest.error ?? backtest.state)))
    await reload()
  }

  put(main, h('p', { class: 'small' }, h('a', { href: '#/changes' }, t('screen.changes'))), heading, stepper, h('div', { class: 'panel' }, about, buttons), jobBox, tasks,
    h('div', { class: 'wide-left' }, h('div', {}, report, body), side))
  draw()
  if (change().backtest && can('getBacktest')) {
    get(path('backtests', change().backtest), {}, signal).then((run) => {
      backtest = run
      drawStepper()
      if (run.report) put(report, panel(t('backtest.title'), backtestReport(run.report)))
    }).catch(() => { /* backtests live as long as the console does */ })
  }
  const click = () => buttons.querySelector('.primary:not(:disabled)')?.click()
  useKeys([['a', 'keys.advance', click], ...(can('startBacktest') ? [['b', 'keys.backtest', test]] : [])])
  context.on('change', (each) => { if (each.id === params.id && (each.revision !== change().revision || each.state !== change().state)) reload().catch(() => {}) })
}
