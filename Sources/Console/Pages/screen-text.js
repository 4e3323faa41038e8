import { h, put } from './dom.js'
import { t } from './i18n.js'
import { call, can, get, path, post } from './api.js'
import { ask, commandLine, field } from './dialog.js'
import { editor } from './editor.js'
import { facts } from './table.js'
import { diagnostics, differences, hash, link, panel, planTable } from './parts.js'
import { useKeys } from './keys.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal, params, query } = context
  const draft = query.change ? await get(path('changes', query.change), {}, signal) : null
  const running = draft ? { topology: params.topology, file: params.topology, text: draft.text, parameters: draft.parameters, epoch: draft.change.base_epoch, ruleset: draft.change.ruleset }
    : await get(path('topologies', params.topology, 'text'), { epoch: query.epoch }, signal)
  context.title(`${params.topology}: ${draft ? draft.change.title : t('screen.text')}`)
  const mayWrite = can('createChange') && !query.epoch
  const marks = h('div', { 'aria-live': 'polite' })
  const plan = h('div', {})
  const box = h('div', { class: 'editor' })
  let timer = null
  let edit = null

  async function judge() {
    const text = edit.text()
    try {
      const lint = await post('/api/lint', { topology: params.topology, text, parameters: running.parameters })
      edit.show(lint.diagnostics)
      put(marks, diagnostics(lint.diagnostics, (line, column) => edit.go(line, column)),
        lint.latency?.length > 0 && h('ul', { class: 'words' }, ...lint.latency.map((each) => h('li', {}, t('lint.latency', { rule: each.rule, milliseconds: format.number(each.milliseconds), bound: format.number(each.bound) })))))
      save.disabled = !lint.ok || (text === running.text && !draft)
      if (lint.ok && text !== running.text) {
        const found = await post('/api/plan', { topology: params.topology, text, parameters: running.parameters })
        put(plan, differences(found), planTable(found))
      } else put(plan, h('p', { class: 'muted' }, t(lint.ok ? 'plan.same' : 'plan.after-lint')))
    } catch (error) {
      if (error.name !== 'AbortError') put(marks, h('p', { class: 'problem' }, error.message))
    }
  }

  const save = h('button', {
    type: 'button', class: 'primary', disabled: true, onclick: async () => {
      const text = edit.text()
      const made = await ask({
        title: t(draft ? 'change.edit' : 'rule.propose-title'), confirm: t(draft ? 'change.save' : 'rule.propose'),
        fields: [
          field(t('change.title'), h('input', { name: 'title', required: true, maxlength: 200, autofocus: true, value: draft?.change.title ?? '' })),
          field(t('change.reason'), h('textarea', { name: 'reason', maxlength: 2000, required: true, value: draft?.change.reason ?? '' })),
        ],
        command: (values) => `millrace rules propose ${params.topology} --file topology.yaml --title '${values.title}'`,
        act: (values) => {
          const body = { title: values.title, reason: values.reason, text, parameters: running.parameters }
          return draft ? call('PUT', path('changes', draft.change.id), { body, revision: draft.change.revision })
            : post('/api/changes', { topology: params.topology, ...body })
        },
      })
      if (made) location.hash = link('changes', made.id)
    },
  }, t(draft ? 'change.save' : 'rule.propose'))

  put(main, h('p', { class: 'small' }, h('a', { href: '#/rules' }, t('screen.rules'))), heading,
    h('div', { class: 'wide-left' }, h('div', {}, box, mayWrite && h('p', { class: 'hint' }, t('text.keys'))),
      h('div', {}, panel(t('text.about'), facts([[t('field.epoch'), format.number(running.epoch)], [t('field.ruleset'), hash(running.ruleset)]]),
        Object.keys(running.parameters ?? {}).length > 0 && [h('h3', {}, t('rule.parameters')), facts(Object.entries(running.parameters).map(([key, value]) => [key, format.number(value)]))],
        commandLine(`millrace lint ${running.file}`)),
      mayWrite && panel(t('text.lint'), marks), mayWrite && panel(t('rule.difference'), plan, h('div', { class: 'buttons' }, save)))))
  edit = await editor(box, {
    text: running.text, label: t('text.label', { topology: params.topology }), readOnly: !mayWrite, onChange: () => {
      clearTimeout(timer)
      timer = setTimeout(judge, 500)
    },
  })
  if (mayWrite) await judge()
  if (query.line) edit.go(Number(query.line) || 1)
  useKeys([['e', 'keys.edit', () => edit.go(1)]])
}
