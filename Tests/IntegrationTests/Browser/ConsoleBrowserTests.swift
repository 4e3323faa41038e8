import Foundation
import Testing

/// Goal: the console as people meet it, in a real browser, on a real Kafka. Method: Chromium by WebDriver;
/// one topology, console and worker for all tests, which run one after the other.
@Suite(
    .serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing),
    .enabled(if: WebDriver.isAvailable, "skipped: chromium and chromedriver are not installed")
) struct ConsoleBrowserTests {
    /// Where pictures of the pages go, for whoever wants to look at them; kept.
    static let pictures: String? = ProcessInfo.processInfo.environment["MILLRACE_PICTURES"]

    /// axe-core's own opinion, where a copy of it lies about; Debian has none.
    private static let axe = ProcessInfo.processInfo.environment["MILLRACE_AXE"].flatMap {
        try? String(contentsOfFile: $0, encoding: .utf8)
    }

    /// Logged in by keyboard, on the first page.
    func browser(_ name: String, width: Int = 1280, language: String = "en-GB") throws -> WebDriver {
        let rig = try ConsoleRig.shared()
        let browser = try WebDriver(width: width, language: language)
        try browser.reach(rig.address + "/") { "the console does not answer: \(rig.lastWords)" }
        try browser.wait("document.querySelector('form.login input')")
        try logIn(browser, name)
        return browser
    }

    private func logIn(_ browser: WebDriver, _ name: String) throws {
        try browser.type(name)
        try browser.press(.tab)
        try browser.type(ConsoleRig.password)
        try browser.press(.enter)
        try browser.wait("document.querySelector('#nav a') && document.querySelector('.figures')")
    }

    func open(_ browser: WebDriver, _ screen: String) throws {
        try browser.go("\(ConsoleRig.shared().address)/#/\(screen)")
        try browser.wait(
            "!document.querySelector('main').hasAttribute('aria-busy') && !document.querySelector('.loading')"
        )
    }

    /// Whoever cannot see, or has no mouse, gets on.
    func check(_ browser: WebDriver, _ place: String) throws {
        let found = try browser.text(PageChecks.all)
        #expect(found.isEmpty, "\(place): \(found)")
        guard let axe = Self.axe else { return }
        try browser.run(
            """
            if (!window.axe) { \(axe) }
            window.axed = undefined
            axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then((found) => {
              window.axed = found.violations.filter((each) => ['serious', 'critical'].includes(each.impact))
                .map((each) => `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 120)).slice(0, 3).join(' | ')}`)
            }, (error) => { window.axed = [String(error)] })
            """)
        try browser.wait("window.axed", seconds: 60)
        let more = try browser.text("window.axed.join('\\n')")
        #expect(more.isEmpty, "\(place): \(more)")
    }

    func expectNoErrors(_ browser: WebDriver) throws {
        let errors = try browser.errors()
        #expect(errors.isEmpty, "\(errors)")
    }

    /// Pictures at both widths; the page is left as wide as it was.
    func picture(_ browser: WebDriver, _ name: String) throws {
        guard let folder = Self.pictures else { return }
        for width in [360, 1280] {
            try browser.setWidth(width)
            try browser.screenshot("\(folder)/\(name)-\(width).png")
        }
    }

    @Test(arguments: ["en-GB", "zh-CN"]) func everyScreen(language: String) throws {
        let rig = try ConsoleRig.shared()
        let browser = try browser("wang", language: language)
        let first = try browser.requests().filter { !$0.url.contains("/api/") }
        #expect(first.reduce(0) { $0 + $1.bytes } <= 300_000, "\(first)")
        #expect(first.count > 10)
        #expect(!first.contains { $0.url.contains("codemirror") })
        let title = try browser.text("document.querySelector('h1').textContent")
        #expect(title == (language == "zh-CN" ? "概览" : "Overview"))
        try open(browser, "alerts")
        // Those that come while the page is open are announced first.
        try browser.wait(
            "(document.querySelector('.new-rows:not([hidden])')?.click(), document.querySelectorAll('tbody a.row').length > 5)",
            seconds: 120)
        let alert = try browser.text("document.querySelector('tbody a.row').dataset.id")
        var screens = [
            "overview", "alerts", "alerts/\(alert)", "rules", "rules/\(rig.group)/burst", "text/\(rig.group)",
            "changes", "history/\(rig.group)", "graph", "tasks", "letters", "models", "notifications",
            "audit",
            "me",
        ]
        func look() throws {
            for screen in screens {
                try open(browser, screen)
                let name = screen.split(separator: "/")[0] + (screen.contains("/") ? "-one" : "")
                for width in [1280, 360] {
                    try browser.setWidth(width)
                    try check(browser, "\(screen), \(width), \(language)")
                    if let folder = Self.pictures {
                        try browser.screenshot("\(folder)/\(language)-\(name)-\(width).png")
                    }
                }
                try browser.setWidth(1280)
                #expect(
                    try browser.text("document.querySelector('main .problem')?.textContent ?? ''") == "",
                    "\(screen)")
            }
        }
        try look()
        // Of people only an admin sees more than the own name.
        try open(browser, "me")
        try browser.run("[...document.querySelectorAll('main .buttons button')][0].click()")
        try browser.wait("document.querySelector('form.login input')")
        try check(browser, "log-in, \(language)")
        try logIn(browser, "admin")
        screens = ["people"]
        try look()
        try expectNoErrors(browser)
        for request in try browser.requests() {
            #expect(request.url.hasPrefix(rig.address) || request.url.hasPrefix("data:"), "\(request.url)")
        }
    }

    @Test func twoAnalystsTakeOneAlert() throws {
        let (one, other) = (try browser("lin"), try browser("li"))
        for each in [one, other] {
            try open(each, "alerts?status=open&sort=time")
            try each.wait("document.querySelector('tbody a.row')", seconds: 120)
        }
        let id = try one.text("document.querySelector('tbody a.row').dataset.id")
        for each in [one, other] {
            try open(each, "alerts/\(id)")
            try each.wait("document.querySelector('.sentence')")
        }
        // Both see it as nobody's: the second takes it by what it has seen.
        let take = """
            fetch('/api/session').then((a) => a.json()).then((s) => fetch('/api/alerts/\(id)/take', { method: 'POST', body: '{}',
              headers: { 'Content-Type': 'application/json', 'X-Millrace-Token': s.token, 'If-Match': '"0"' } }))
              .then((a) => { window.taken = a.status })
            """
        for each in [one, other] { try each.run(take) }
        for each in [one, other] { try each.wait("window.taken") }
        #expect(try Set([one.text("window.taken"), other.text("window.taken")]) == ["200", "409"])
        let owner = try one.text("window.taken") == "200" ? "lin" : "li"
        for each in [one, other] {
            try each.wait("document.querySelector('.facts').textContent.includes('\(owner)')")
        }
    }

    /// What the page does not offer is refused all the same.
    @Test func nobodyApprovesTheirOwnInThePage() throws {
        let rig = try ConsoleRig.shared()
        let author = try browser("wang")
        try open(author, "rules/\(rig.group)/burst")
        try author.run(
            """
            (async () => {
              const { token } = await (await fetch('/api/session')).json()
              const send = (path, body, revision) => fetch(path, { method: 'POST', body: JSON.stringify(body), headers: {
                'Content-Type': 'application/json', 'X-Millrace-Token': token, ...(revision === undefined ? {} : { 'If-Match': `"${revision}"` }) } })
              const { text, parameters } = await (await fetch('/api/topologies/\(rig.group)/text')).json()
              const made = await (await send('/api/changes', { topology: '\(rig.group)', title: 'mine', reason: 'mine', text,
                parameters: { ...parameters, limit: '1999.00' } })).json()
              const change = made.change ?? made
              const submitted = await (await send(`/api/changes/${change.id}/submit`, { reason: 'mine' }, change.revision)).json()
              const revision = (submitted.change ?? submitted).revision
              const answer = await send(`/api/changes/${change.id}/approve`, { comment: 'mine' }, revision)
              window.own = { id: change.id, status: answer.status, code: (await answer.json()).error.code }
            })().catch((error) => { window.own = { error: String(error) } })
            """)
        try author.wait("window.own")
        #expect(
            try author.text("JSON.stringify([window.own.status, window.own.code])") == #"[403,"own-change"]"#)
        try open(author, "changes/\(author.text("window.own.id"))")
        try author.wait("document.querySelector('main .notice')")
        #expect(try !author.holds("document.querySelector('main .buttons .primary')"))
        // The browser says so itself of each answer of 400 and more; nothing else may be wrong.
        #expect(try author.errors().allSatisfy { $0.contains("status of 403") })
    }
}
