/// What keeps people from a page that do not see it, see little, or have a keyboard only, as far as the
/// document and its styles say it (WCAG 2.2, A and AA). Each is an expression of JavaScript: lines of text,
/// none if all is well.
enum PageChecks {
    static let all = "[\(names), \(structure), \(contrast), \(layout)].flat().join('\\n')"

    private static let shown =
        "(e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getClientRects().length > 0"
    private static let cut = "(e) => e.outerHTML.replace(/\\s+/g, ' ').slice(0, 120)"

    /// 1.1.1, 1.3.1, 2.4.4, 3.3.2, 4.1.2: whatever takes the focus has a name, and tables say what they are.
    private static let names = """
        (() => {
          const shown = \(shown), cut = \(cut), all = (s) => [...document.querySelectorAll(s)].filter(shown)
          const named = (e) => (e.getAttribute('aria-label') || e.title || (e.getAttribute('aria-labelledby') ?? '')
            .split(/\\s+/).map((id) => document.getElementById(id)?.textContent ?? '').join('')).trim()
          const said = (e) => [...e.childNodes].some((n) => n.nodeType === 3 ? n.data.trim()
            : n.nodeType === 1 && n.getAttribute('aria-hidden') !== 'true' && (said(n) || named(n) || n.alt))
          const ids = [...document.querySelectorAll('[id]')].map((e) => e.id)
          return [
            ...all('input, select, textarea').filter((e) => !e.closest('.CodeMirror') && !e.labels?.length && !named(e))
              .map((e) => 'no label: ' + cut(e)),
            ...all('button, a[href], summary, [role=button], [role=slider], [role=region], [role=img]')
              .filter((e) => !named(e) && !said(e)).map((e) => 'no name: ' + cut(e)),
            ...all('img').filter((e) => !e.hasAttribute('alt')).map((e) => 'no alt: ' + cut(e)),
            ...all('svg').filter((e) => !e.closest('[aria-hidden=true]') && !e.closest('button, a') && !named(e)
              && !e.querySelector('title')).map((e) => 'a drawing without a name: ' + cut(e)),
            ...all('table').filter((e) => !e.caption?.textContent.trim()).map((e) => 'no caption: ' + cut(e)),
            ...all('thead th').filter((e) => !e.scope).map((e) => 'no scope: ' + cut(e)),
            ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => 'twice: #' + id),
            ...['for', 'aria-labelledby', 'aria-describedby', 'aria-controls'].flatMap((name) =>
              [...document.querySelectorAll(`[${name}]`)].filter((e) => e.getAttribute(name).split(/\\s+/)
                .some((id) => !document.getElementById(id))).map((e) => `${name} leads nowhere: ` + cut(e))),
            ...[...document.querySelectorAll('[aria-hidden=true] :is(a[href], button, input, select, [tabindex="0"])')]
              .filter(shown).map((e) => 'takes the focus and is hidden: ' + cut(e)),
          ]
        })()
        """

    /// 1.3.1, 2.4.1, 2.4.3, 2.4.6, 3.1.1: headings in their order, one main part, a language, no order of its
    /// own.
    private static let structure = """
        (() => {
          const shown = \(shown), cut = \(cut)
          const levels = [...document.querySelectorAll('main :is(h1, h2, h3, h4)')].filter(shown)
            .map((e) => Number(e.tagName[1]))
          const chinese = navigator.language.startsWith('zh')
          return [
            ...(document.querySelectorAll('h1').length === 1 ? [] : ['not one h1']),
            ...levels.flatMap((each, at) => each > (at ? levels[at - 1] : 0) + 1 ? [`h${each} behind h${levels[at - 1]}`] : []),
            ...(document.querySelectorAll('main').length === 1 ? [] : ['not one main']),
            ...(document.querySelector('nav').getAttribute('aria-label') ? [] : ['navigation without a name']),
            ...(document.documentElement.lang.startsWith(chinese ? 'zh' : 'en') ? [] : ['lang ' + document.documentElement.lang]),
            ...(document.title.length > 8 ? [] : ['no title']),
            ...[...document.querySelectorAll('[tabindex]')].filter((e) => e.tabIndex > 0).map((e) => 'an order of its own: ' + cut(e)),
            ...[...document.querySelectorAll('.scroll')].filter((e) => shown(e) && e.scrollWidth > e.clientWidth + 1
              && e.tabIndex < 0 && !e.querySelector('a[href], button')).map((e) => 'scrolls by mouse only: ' + cut(e)),
          ]
        })()
        """

    /// 1.4.3, as WCAG computes it: 4.5 to 1, or 3 to 1 where letters are large.
    private static let contrast = """
        (() => {
          const shown = \(shown), cut = \(cut)
          const colour = (text) => {
            const n = text.match(/-?[\\d.]+(e-?\\d+)?/g)?.map(Number) ?? [0, 0, 0, 0]
            const scale = text.startsWith('color(') ? 255 : 1
            return [n[0] * scale, n[1] * scale, n[2] * scale, n[3] ?? 1]
          }
          const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1)
          const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
          const ground = (e) => {
            const layers = []
            for (let at = e; at; at = at.parentElement) {
              const c = colour(getComputedStyle(at).backgroundColor)
              if (c[3] > 0) layers.push(c)
              if (c[3] === 1) break
            }
            return layers.reverse().reduce((under, c) => over(c, under), [255, 255, 255, 1])
          }
          const found = new Set()
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
          while (walker.nextNode()) {
            const e = walker.currentNode.parentElement
            if (!walker.currentNode.data.trim() || !shown(e) || e.closest(':disabled, .hidden-text, .skip, svg, option, script')) continue
            const style = getComputedStyle(e), under = ground(e), size = parseFloat(style.fontSize)
            const [a, b] = [light(over(colour(style.color), under)), light(under)].sort((x, y) => y - x)
            const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5
            if ((a + 0.05) / (b + 0.05) < least) found.add(`contrast ${((a + 0.05) / (b + 0.05)).toFixed(2)}: ${cut(e)}`)
          }
          return [...found]
        })()
        """

    /// 1.4.10, 2.5.8: nothing is wider than the window, cut off, too small to hit, or under something else.
    private static let layout = """
        (() => {
          const shown = \(shown), cut = \(cut), all = (s) => [...document.querySelectorAll(s)].filter(shown)
          const open = document.querySelector('dialog[open]')
          const controls = all('button, select, input, a.button, textarea').filter((e) => !e.closest('.skip') && (!open || open.contains(e)))
          const inside = (r) => r.width > 0 && r.top >= 0 && r.bottom <= innerHeight && r.left >= 0 && r.right <= innerWidth
          const covered = (e) => {
            const r = e.getBoundingClientRect()
            if (!inside(r) || e.closest('.scroll, .graph-box, nav')) return false
            const top = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2)
            return top && !e.contains(top) && !top.contains(e) && !top.closest('.toasts') && !e.labels?.[0]?.contains(top)
          }
          return [
            ...(document.documentElement.scrollWidth > innerWidth ? ['wider than the window: ' + [...document.querySelectorAll('main *, #top *')]
              .filter((e) => shown(e) && !e.closest('.scroll, .graph-box, pre, .hidden-text') && e.getBoundingClientRect().right > innerWidth + 1).map(cut).slice(0, 3).join(' | ')] : []),
            ...controls.filter((e) => e.getBoundingClientRect().height < 23 && !e.matches('[type=checkbox], [type=radio]'))
              .map((e) => 'small: ' + cut(e)),
            ...controls.filter(covered).map((e) => 'covered: ' + cut(e)),
            ...all('button, .button, .tag, h1, h2, th, dd, .figures .value').filter((e) => e.scrollWidth > e.clientWidth + 1
              && ['hidden', 'clip'].includes(getComputedStyle(e).overflowX)).map((e) => 'cut off: ' + cut(e)),
          ]
        })()
        """

    /// 2.4.7: where the focus is can be seen. Of what has it now.
    static let focusIsSeen = """
        (() => {
          const e = document.activeElement, s = getComputedStyle(e)
          if (e === document.body) return true
          const r = e.getBoundingClientRect()
          return r.width > 0 && r.bottom > 0 && r.top < innerHeight && (s.outlineStyle !== 'none' || e.matches('g, main, h1'))
        })()
        """
}
