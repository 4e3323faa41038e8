import Testing

extension ConsoleBrowserTests {
    /// The whole way without a mouse: an alert, why it is one, the limit moved and tried on the past, asked
    /// for, agreed by somebody else, and every task going by it.
    @Test func byKeyboardFromAlertToAcknowledgement() throws {
        let author = try browser("wang")
        try open(author, "alerts")
        try author.wait("document.querySelector('tbody a.row')", seconds: 120)
        for _ in 0..<12 {
            try author.press(.tab)
            let focused = try author.text("document.activeElement.outerHTML")
            #expect(try author.holds(PageChecks.focusIsSeen), "\(focused)")
        }
        try author.run("document.activeElement.blur()")
        try picture(author, "path-1-alerts")
        try author.type("j")
        try author.press(.enter)
        try author.wait("location.hash.startsWith('#/alerts/') && document.querySelector('.tree li')")
        try author.type("e")
        try author.wait("document.activeElement.id === 'explanation'")
        try picture(author, "path-2-explanation")
        try author.type("r")
        try author.wait("document.querySelector('#parameter-limit')")
        try picture(author, "path-3-rule")

        // The curve comes of a backtest; then the limit goes five steps down on it.
        try author.tab(to: "document.activeElement.matches('form button[type=button]')")
        try author.press(.enter)
        try author.wait("document.querySelector('dialog[open]')")
        try picture(author, "path-4-backtest")
        try author.tab(to: "document.activeElement.matches('dialog [type=submit]')")
        try author.press(.enter)
        try author.wait("document.activeElement.getAttribute('role') === 'slider'", seconds: 60)
        let before = try author.text("document.querySelector('#parameter-limit').value")
        for _ in 0..<5 { try author.press(.left) }
        let limit = try author.text("document.querySelector('#parameter-limit').value")
        #expect(limit != before)
        #expect(try author.text("document.activeElement.getAttribute('aria-valuenow')") == limit)
        #expect(try author.holds(PageChecks.focusIsSeen))
        try picture(author, "path-5-limit")
        try check(author, author.text("location.hash"))

        try author.tab(to: "document.activeElement.matches('main form [type=submit]:not(:disabled)')")
        try author.press(.enter)
        try author.wait("document.querySelector('dialog[open]')")
        try author.type("more is usual by now")
        try check(author, author.text("location.hash"))
        try author.tab(to: "document.activeElement.matches('dialog [type=submit]')")
        try author.press(.enter)
        try author.wait("location.hash.startsWith('#/changes/') && document.querySelector('.steps')")
        // The draft is tried on the past too, so that whoever agrees sees what it would have raised.
        try author.type("b")
        try author.wait("document.querySelector('dialog[open]')")
        try author.tab(to: "document.activeElement.matches('dialog [type=submit]')")
        try author.press(.enter)
        try author.wait(
            "!document.querySelector('dialog') && document.querySelectorAll('.steps li.done').length >= 4",
            seconds: 60)
        try picture(author, "path-6-draft")
        try author.type("a")
        try author.wait("document.querySelector('dialog[open]')")
        try author.tab(to: "document.activeElement.matches('dialog [type=submit]')")
        try author.press(.enter)
        try author.wait("!document.querySelector('dialog') && document.querySelector('main .notice')")
        // One's own change has no button to approve it.
        #expect(try !author.holds("document.querySelector('main .buttons .primary')"))
        try picture(author, "path-7-submitted")
        let change = try author.text("location.hash.slice(2)")

        let approver = try browser("chen")
        try open(approver, change)
        for step in ["approve", "activate"] {
            try approver.wait(
                "document.querySelector('main .buttons .primary:not(:disabled)') && !document.querySelector('dialog')"
            )
            let button = try approver.text("document.querySelector('main .buttons .primary').textContent")
            try picture(approver, "path-8-\(step)")
            // What the author tried on the past is seen by whoever agrees.
            try approver.wait("document.querySelectorAll('.steps li.done').length >= 5")
            try approver.type("a")
            try approver.wait("document.querySelector('dialog[open]')")
            try approver.tab(to: "document.activeElement.matches('dialog [type=submit]')")
            try approver.press(.enter)
            try approver.wait(
                "!document.querySelector('dialog') && document.querySelector('main .buttons .primary')?.textContent !== '\(button)'",
                seconds: 60)
        }
        try approver.wait("document.querySelectorAll('.tasks-line li.done').length === 2", seconds: 60)
        try picture(approver, "path-9-acknowledged")
        try check(approver, "acknowledged")
        try expectNoErrors(approver)
        try expectNoErrors(author)
    }

    /// Whoever watches the stream misses nothing of what happened while console and worker were away, and
    /// need not log in again.
    @Test func theStreamGoesOnAfterARestart() throws {
        let rig = try ConsoleRig.shared()
        let watcher = try browser("zhao")
        try watcher.run(
            """
            window.heard = []
            import('/events.js').then((events) => { events.on('alert', (alert) => window.heard.push(alert.id)); window.listens = true })
            """)
        try watcher.wait("window.listens && document.querySelector('#stream:not(.lost)')")
        try rig.feed(100..<104)
        try watcher.wait("new Set(window.heard).size >= 4", seconds: 60)
        try rig.restart { try rig.feed(104..<110) }
        try watcher.wait("new Set(window.heard).size >= 10", seconds: 120)
        let heard = try watcher.text("window.heard.join(' ')").split(separator: " ").map(String.init)
        let alerts = try rig.alerts()
        let expected = try (100..<110).map { try #require(alerts["s\($0)"]) }
        #expect(Set(heard) == Set(expected))
        #expect(heard.count == expected.count, "some came twice: \(heard)")
        try watcher.wait("document.querySelector('#stream:not(.lost)')")
        #expect(try !watcher.holds("document.querySelector('form.login')"))
    }
}
