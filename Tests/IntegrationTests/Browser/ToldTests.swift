import Foundation
import Outlets
import Testing

extension ConsoleBrowserTests {
    private func link(_ alerts: [String], to recipient: String, validFor milliseconds: Int64 = 86_400_000)
        throws
        -> String
    {
        let link = AcknowledgementLink(
            base: "\(try ConsoleRig.shared().address)\(AcknowledgementLink.page)",
            secret: Array(ConsoleRig.linkSecret.utf8), validMilliseconds: milliseconds)
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        return try #require(link.make(alerts: alerts, recipient: recipient, now: now))
    }

    /// Whoever has only a message in their hand says by its link that they look after the alert; a program
    /// that follows links says nothing by it.
    @Test(arguments: ["en-GB", "zh-CN"]) func linksOfMessages(language: String) throws {
        let rig = try ConsoleRig.shared()
        let isChinese = language == "zh-CN"
        let shop = isChinese ? 201 : 200
        let watcher = try browser("zhao", language: language)
        try watcher.run(
            """
            window.heard = {}
            import('/events.js').then((events) => { events.on('alert', (alert) => { window.heard[alert.customer] = alert.id }); window.listens = true })
            """)
        try watcher.wait("window.listens")
        try rig.feed(shop..<shop + 1)
        try watcher.wait("window.heard.s\(shop)", seconds: 60)
        let alert = try watcher.text("window.heard.s\(shop)")
        let reader = try WebDriver(width: 360, language: language)
        let address = try link([alert], to: "zhang/mail")
        // A scanner looks first, twice.
        for _ in 0..<2 { try reader.reach(address) { "no answer: \(rig.lastWords)" } }
        #expect(try reader.holds("document.querySelector('form button.primary')"))
        let shown = try reader.text("document.body.innerText")
        for word in ["zhang", "s\(shop)", isChinese ? "确认处理预警" : "Look after an alert"] {
            #expect(shown.contains(word), "\(shown)")
        }
        #expect(try reader.text("document.documentElement.lang") == (isChinese ? "zh-CN" : "en"))
        #expect(try reader.holds("document.documentElement.scrollWidth <= innerWidth"))
        if let folder = Self.pictures { try reader.screenshot("\(folder)/link-\(language)-360.png") }
        try open(watcher, "alerts/\(alert)")
        try watcher.wait("document.querySelector('.facts')")
        #expect(try !watcher.text("document.querySelector('.facts').textContent").contains("zhang"))

        try reader.tab(to: "document.activeElement.matches('button.primary')")
        try reader.press(.enter)
        try reader.wait("document.querySelector('.good-notice')")
        try watcher.wait("document.querySelector('.facts').textContent.includes('zhang')")
        // The same link again, an altered one, one that is too old.
        let altered = String(address.dropLast(4)) + "AAAA"
        let old = try link([alert], to: "zhang/mail", validFor: -1)
        for (bad, word) in [
            (address, isChinese ? "已使用过" : "used already"), (altered, isChinese ? "无效" : "not one of ours"),
            (old, isChinese ? "已过期" : "too old"),
        ] {
            try reader.go(bad)
            try reader.wait("document.querySelector('.problem')")
            let text = try reader.text("document.querySelector('.problem').textContent")
            #expect(text.contains(word))
            #expect(try !reader.holds("document.querySelector('form')"))
        }
        // Another person's link comes too late, and is told who was first.
        try reader.go(try link([alert], to: "li/sms"))
        try reader.wait("document.querySelector('.notice')")
        #expect(try reader.text("document.body.innerText").contains("zhang"))
        #expect(try !reader.holds("document.querySelector('form')"))
    }

    /// The notifier's popups reach the person that they are for, once in a session: by the system where it
    /// was allowed, else in the page.
    @Test func popupsReachWhoeverTheyAreFor() throws {
        let rig = try ConsoleRig.shared()
        try rig.startNotifier()
        let (told, other, system) = (try browser("lin"), try browser("li"), try browser("lin"))
        try system.beforeEachPage(
            """
            window.popups = []
            window.Notification = class {
              static permission = 'granted'
              constructor(title, options) { window.popups.push(title + '|' + options.body + '|' + options.tag) }
            }
            """)
        try system.run("localStorage.setItem('millrace.popups', 'on'); location.reload()")
        try system.wait("window.popups && document.querySelector('#stream:not(.lost)')")
        try rig.waitForNotifier()
        try rig.feed(300..<301)
        try told.wait("document.querySelector('.toast')?.textContent.includes('s300')", seconds: 60)
        try system.wait("window.popups.some((each) => each.includes('s300'))", seconds: 60)
        #expect(try system.text("window.popups.filter((each) => each.includes('s300')).length") == "1")
        #expect(try !system.holds("document.querySelector('.toast')"))
        try picture(told, "popup")
        try check(told, "popup")
        // Not again after a reload, and not to somebody else.
        try told.wait(
            "performance.getEntriesByType('resource').some((each) => each.name.endsWith('/seen') && each.responseStatus === 204)"
        )
        try told.run("location.reload()")
        try told.wait("document.querySelector('.figures') && document.querySelector('#stream:not(.lost)')")
        try rig.feed(301..<302)
        try told.wait("document.querySelector('.toast')?.textContent.includes('s301')", seconds: 60)
        #expect(try !told.text("document.querySelector('#toasts').textContent").contains("s300"))
        #expect(try other.text("document.querySelector('#toasts').textContent") == "")
        // Taken right from there.
        try told.run("[...document.querySelectorAll('.toast button')][0].click()")
        let id = try #require(try rig.alerts()["s301"])
        try open(told, "alerts/\(id)")
        try told.wait("document.querySelector('.facts')?.textContent.includes('lin')")
        try expectNoErrors(told)
    }
}
