// The text of a topology: CodeMirror where the server has it, else a text area. Loaded only by screens that edit text.

import { h } from './dom.js'

let loading = null

function script(source) {
  return new Promise((resolve, reject) => document.head.append(h('script', { src: source, onload: resolve, onerror: reject })))
}

function styles(source) {
  return new Promise((resolve, reject) => document.head.append(h('link', { rel: 'stylesheet', href: source, onload: resolve, onerror: reject })))
}

/** Whether CodeMirror is there; asked once, without an error in the console where it is not. */
function codeMirror() {
  loading ??= (async () => {
    try {
      const answer = await fetch('/lib/codemirror/lib/codemirror.js', { method: 'HEAD' })
      if (answer.status !== 200) return false
      await styles('/lib/codemirror/lib/codemirror.css')
      await script('/lib/codemirror/lib/codemirror.js')
      await script('/lib/codemirror/mode/yaml/yaml.js')
      return typeof window.CodeMirror === 'function'
    } catch { return false }
  })()
  return loading
}

/** An editor of `text` inside `parent`: `{ text(), show(diagnostics), go(line, column) }`. */
export async function editor(parent, { text, label, readOnly, onChange }) {
  const area = h('textarea', { 'aria-label': label, spellcheck: 'false', readonly: readOnly, wrap: 'off', value: text })
  parent.append(area)
  if (!(await codeMirror())) {
    area.addEventListener('input', () => onChange?.())
    return {
      text: () => area.value,
      show() {},
      go(line, column = 1) {
        const lines = area.value.split('\n')
        const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1
        area.focus()
        area.setSelectionRange(start, start)
        area.scrollTop = Math.max(0, (line - 8)) * (area.scrollHeight / Math.max(1, lines.length))
      },
    }
  }
  const mirror = window.CodeMirror.fromTextArea(area, {
    mode: 'yaml', lineNumbers: true, readOnly: Boolean(readOnly), gutters: ['CodeMirror-linenumbers', 'marks'], indentUnit: 2, tabSize: 2, inputStyle: 'contenteditable',
    // Tab must not hold the keyboard (WCAG 2.1.2): it leaves the editor.
    extraKeys: { Tab: false, 'Shift-Tab': false },
  })
  const surface = mirror.getInputField()
  surface.setAttribute('aria-label', label)
  surface.setAttribute('role', 'textbox')
  surface.setAttribute('aria-multiline', 'true')
  if (readOnly) surface.setAttribute('aria-readonly', 'true')
  mirror.on('change', () => onChange?.())
  let marked = []
  return {
    text: () => mirror.getValue(),
    show(list) {
      mirror.clearGutter('marks')
      for (const line of marked) mirror.removeLineClass(line, 'background', 'wrong')
      marked = []
      for (const each of list) {
        const sign = h('span', { class: 'gutter-mark', title: each.message, role: 'img', 'aria-label': each.message }, '!')
        mirror.setGutterMarker(each.line - 1, 'marks', sign)
        const line = mirror.addLineClass(each.line - 1, 'background', 'wrong')
        if (line) marked.push(line)
      }
    },
    go(line, column = 1) {
      mirror.focus()
      mirror.setCursor({ line: line - 1, ch: column - 1 })
      mirror.scrollIntoView({ line: line - 1, ch: 0 }, 160)
    },
  }
}
