// Dialogs: native `<dialog>`, so that focus is held inside and goes back where it was.

import { h, newId, say } from './dom.js'
import { t } from './i18n.js'

/** The command that does what a form does, with a button that copies it. A function is asked at each `refresh()`. */
export function commandLine(command) {
  const code = h('code', {}, typeof command === 'function' ? '' : command)
  const box = h('div', { class: 'command' },
    h('span', { class: 'muted' }, t('command.same')),
    code,
    h('button', {
      type: 'button', class: 'quiet', onclick: async () => {
        try {
          await navigator.clipboard.writeText(code.textContent)
          say(t('command.copied'))
        } catch {
          // No clipboard on plain HTTP: the text is selected instead.
          getSelection().selectAllChildren(code)
        }
      },
    }, t('command.copy')))
  box.refresh = () => { code.textContent = command() }
  return box
}

/**
 * Asks in a dialog. `fields` are elements with a `name`; `command(values)` gives the command line.
 * `act(values)` does it: what it throws is shown in the dialog, which stays open. Resolves to what `act` gave, or
 * undefined where it was closed.
 */
export function ask({ title, intro, fields = [], confirm, danger = false, command, act }) {
  const id = newId('dialog')
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true })
  const valuesOf = () => Object.fromEntries(new FormData(form))
  const line = command ? commandLine(() => command(valuesOf())) : null
  const submit = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, confirm ?? title)
  const form = h('form', { method: 'dialog', oninput: () => line?.refresh(), onchange: () => line?.refresh() },
    h('h2', { id }, title), intro && h('div', { class: 'intro' }, intro), ...fields, line, problem,
    h('div', { class: 'buttons' },
      submit,
      h('button', { type: 'button', value: 'cancel', onclick: () => dialog.close() }, t('dialog.cancel'))))
  const dialog = h('dialog', { 'aria-labelledby': id }, form)
  document.body.append(dialog)
  line?.refresh()
  return new Promise((resolve) => {
    let answer
    form.addEventListener('submit', async (event) => {
      event.preventDefault()
      submit.disabled = true
      problem.hidden = true
      try {
        answer = act ? await act(valuesOf()) : valuesOf()
        dialog.close()
      } catch (error) {
        problem.textContent = error.message
        problem.hidden = false
        submit.disabled = false
      }
    })
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(answer)
    })
    dialog.showModal()
  })
}

/** A labelled control: label, control, and a hint that belongs to it. */
export function field(label, control, hint) {
  control.id ||= newId('field')
  const hintId = hint ? newId('hint') : undefined
  if (hintId) control.setAttribute('aria-describedby', hintId)
  return h('div', { class: 'field' },
    h('label', { for: control.id }, label), control, hint && h('p', { class: 'hint', id: hintId }, hint))
}

/** A select of `[value, text]`. */
export function choice(name, options, chosen, more = {}) {
  return h('select', { name, ...more },
    ...options.map(([value, text]) => h('option', { value, selected: value === chosen }, text)))
}

/** A line at the corner that goes away by itself; errors, and what `stays`, until they are closed. */
export function toast(text, { error = false, stays = error, link, action } = {}) {
  const box = h('div', { class: error ? 'toast error' : 'toast' },
    h('span', {}, text), link && h('a', { href: link.href, onclick: () => { if (stays) box.remove() } }, link.text),
    action && h('button', { type: 'button', class: 'quiet', onclick: () => { box.remove(); action.act() } }, action.text),
    h('button', { type: 'button', class: 'quiet', 'aria-label': t('dialog.close'), onclick: () => box.remove() }, '×'))
  document.getElementById('toasts').append(box)
  say(text, error)
  if (!stays) setTimeout(() => box.remove(), 8000)
  return box
}
