import Base
import Http
import Models
import Outlets

/// The page behind a link in a message: who was told says there, without a log-in, that they look after the
/// alerts. To look at it changes nothing, so that programs that follow the links of mails do no harm; only
/// its button (POST) writes, what `take` writes, and once.
struct AcknowledgePage {
    static let path = AcknowledgementLink.page

    let console: Console

    private struct Refusal: Error {
        var status: Int
        /// Of a text of the pages, `acknowledge.…`.
        var text: String
        var values: [String: String] = [:]
    }

    /// An alert, and what keeps it from being taken; nil: nothing.
    private struct Item {
        var id: String
        var row: AlertRow?
        var obstacle: String?
    }

    func answer(_ request: ServedRequest) -> ServedAnswer {
        let isPost = request.method == "POST"
        var texts = texts(request, name: nil)
        do throws(Refusal) {
            guard isPost || request.method == "GET" || request.method == "HEAD" else {
                throw Refusal(status: 405, text: "method")
            }
            guard let link = console.options.link else { throw Refusal(status: 404, text: "none") }
            guard let token = isPost ? Self.token(request.body) : request.parameter("token"), !token.isEmpty
            else { throw Refusal(status: 400, text: "no-token") }
            let claim: AcknowledgementLink.Claim
            do throws(AcknowledgementLink.Refusal) {
                claim = try link.verify(token, now: console.now())
            } catch {
                throw error == .expired
                    ? Refusal(status: 410, text: "expired") : Refusal(status: 403, text: "forged")
            }
            let name = String(claim.recipient.prefix { $0 != "/" })
            texts = self.texts(request, name: name)
            if let person = console.people.people[name], !person.roles.contains(.analyst) {
                throw Refusal(status: 403, text: "no-analyst", values: ["name": name])
            }
            return isPost
                ? try acknowledge(claim, name, texts, peer: request.peer)
                : try show(claim, name, token, texts)
        } catch {
            let text = texts("acknowledge.\(error.text)", error.values)
            return page(error.status, texts, [Self.element("p", text, class: "problem", role: "alert")])
        }
    }

    private static func token(_ body: [UInt8]) -> String? {
        for part in String(decoding: body, as: UTF8.self).split(separator: "&")
        where part.hasPrefix("token=") {
            return String(part.dropFirst("token=".count))
        }
        return nil
    }

    /// What a token is called in the audit, by which it is known to be used. Nobody can make the token of it.
    private static func mark(_ claim: AcknowledgementLink.Claim) -> String {
        String(Sha256.hex(Array(claim.id.utf8)).prefix(32))
    }

    private func items(_ claim: AcknowledgementLink.Claim) throws(Refusal) -> [Item] {
        let time = console.now()
        var items: [Item] = []
        for id in claim.alerts {
            do throws(Fault) {
                items.append(Item(id: id, row: try console.index.alert(id, now: time)))
            } catch {
                Log.error("\(Self.path): \(error.detail)")
                throw Refusal(status: 503, text: "later")
            }
        }
        if !items.contains(where: { $0.row != nil }) {
            throw console.index.isBuilding
                ? Refusal(status: 503, text: "later") : Refusal(status: 404, text: "unknown")
        }
        return items
    }

    // MARK: Looking

    private func show(
        _ claim: AcknowledgementLink.Claim, _ name: String, _ token: String, _ texts: Texts
    ) throws(Refusal) -> ServedAnswer {
        let items = try items(claim)
        if isUsed(claim, items) { throw Refusal(status: 410, text: "used", values: ["name": name]) }
        let open = items.filter { $0.row.map { Self.obstacle($0, name, texts) == nil } ?? false }
        var parts = [Self.element("p", texts("acknowledge.who", ["name": name]))]
        parts += list(items, texts) { $0.row.flatMap { Self.obstacle($0, name, texts) } }
        if open.isEmpty {
            parts.append(Self.element("p", texts("acknowledge.nothing"), class: "notice"))
        } else {
            parts.append(
                """
                <form method="post" action="\(Self.path)?lang=\(texts.language)">
                <input type="hidden" name="token" value="\(Self.escaped(token))">
                <button type="submit" class="primary">\(Self.escaped(texts("acknowledge.take", ["name": name])))</button>
                </form>
                """)
            parts.append(Self.element("p", texts("acknowledge.about"), class: "hint"))
        }
        let other = texts.language == "zh" ? "en" : "zh"
        parts.append(
            "<p class=\"small\"><a href=\"\(Self.path)?lang=\(other)&amp;token=\(Self.escaped(token))\" lang=\"\(other)\">"
                + "\(other == "zh" ? "中文" : "English")</a></p>")
        return page(200, texts, parts)
    }

    private func isUsed(_ claim: AcknowledgementLink.Claim, _ items: [Item]) -> Bool {
        let mark = Self.mark(claim)
        return Set(items.compactMap(\.row?.topology)).contains {
            console.board[$0]?.usedLinks.contains(mark) ?? false
        }
    }

    private static func obstacle(_ row: AlertRow, _ name: String, _ texts: Texts) -> String? {
        obstacle(row.status, row.owner, name, texts)
    }

    private static func obstacle(_ status: String, _ owner: String?, _ name: String, _ texts: Texts)
        -> String?
    {
        let values = ["name": owner ?? ""]
        switch status {
        case "open": return nil
        case "taken": return texts(owner == name ? "acknowledge.yours" : "acknowledge.taken", values)
        case "snoozed": return texts("acknowledge.snoozed", values)
        default: return texts("acknowledge.closed", values)
        }
    }

    private func list(_ items: [Item], _ texts: Texts, _ note: (Item) -> String?) -> [String] {
        var lines = ["<ul class=\"words acknowledged\">"]
        for item in items {
            var text = "<code>\(Self.escaped(item.id))</code>"
            if let row = item.row {
                let severity = AlertRow.severities[Int(max(0, min(3, row.severity)))]
                text =
                    "<strong class=\"\(severity)\">\(Self.escaped(texts.name("severity", severity)))</strong> "
                    + "<strong>\(Self.escaped(row.customer))</strong> "
                    + Self.escaped("\(texts.name("risk", row.risk)) (\(row.rule))")
                if !row.message.isEmpty { text += "<br>\(Self.escaped(row.message))" }
            } else {
                text += " " + Self.escaped(texts("acknowledge.unknown"))
            }
            if let note = note(item) { text += "<br><em>\(Self.escaped(note))</em>" }
            lines.append("<li>\(text)</li>")
        }
        return lines + ["</ul>"]
    }

    // MARK: Taking

    private func acknowledge(
        _ claim: AcknowledgementLink.Claim, _ name: String, _ texts: Texts, peer: String
    ) throws(Refusal) -> ServedAnswer {
        var items = try items(claim)
        let mark = Self.mark(claim)
        let caller = Caller(
            name: name, roles: console.people.people[name]?.roles ?? [.analyst], language: texts.language,
            method: "link", peer: "link of \(claim.recipient), \(peer)")
        let time = console.now()
        var taken = 0
        for topology in Set(items.compactMap(\.row?.topology)).sorted() {
            let own = items.indices.filter { items[$0].row?.topology == topology }
            let obstacles: [String?]?
            do throws(ApiError) {
                obstacles = try console.ledger(topology).write { (book) throws(ApiError) -> [String?]? in
                    if book.usedLinks.contains(mark) { return nil }
                    var obstacles: [String?] = []
                    for index in own {
                        let id = items[index].id
                        let current = book.dispositions[id] ?? Disposition(alertId: id, topology: topology)
                        let isAwake = current.status == "snoozed" && current.until.map { $0 <= time } ?? false
                        let status = isAwake ? "open" : current.status
                        let obstacle = Self.obstacle(status, current.owner, name, texts)
                        obstacles.append(obstacle)
                        if obstacle != nil { continue }
                        _ = try book.dispose(
                            id, topology: topology, .take, revision: current.revision, caller: caller,
                            outcome: nil, until: nil, note: nil, at: time, link: mark)
                    }
                    return obstacles
                }
            } catch {
                Log.error("\(Self.path): \(error.message)")
                throw Refusal(status: 503, text: "later")
            }
            guard let obstacles else { throw Refusal(status: 410, text: "used", values: ["name": name]) }
            for (index, obstacle) in zip(own, obstacles) {
                items[index].obstacle = obstacle
                if obstacle == nil { taken += 1 }
            }
        }
        let text = texts(taken > 0 ? "acknowledge.done" : "acknowledge.nothing", ["name": name])
        return page(
            taken > 0 ? 200 : 409, texts,
            [Self.element("p", text, class: taken > 0 ? "good-notice" : "notice", role: "status")]
                + list(items, texts) { $0.row == nil ? nil : $0.obstacle ?? texts("acknowledge.yours") })
    }

    // MARK: Writing

    /// The texts of the pages, in one language.
    private struct Texts {
        var language: String
        var own: [String: String]

        func callAsFunction(_ key: String, _ values: [String: String] = [:]) -> String {
            var text = own[key] ?? key
            for (name, value) in values {
                text = text.split(separator: "{\(name)}", omittingEmptySubsequences: false).joined(
                    separator: value)
            }
            return text
        }

        func name(_ list: String, _ value: String) -> String { own["\(list).\(value)"] ?? value }
    }

    /// As the reader asks for, else as the person has it in the file of users, else as the browser says.
    private func texts(_ request: ServedRequest, name: String?) -> Texts {
        var language = request.parameter("lang") ?? ""
        if !["en", "zh"].contains(language) {
            language = name.flatMap { console.people.people[$0]?.language } ?? console.language(request)
        }
        return Texts(language: language, own: console.pages.texts[language] ?? [:])
    }

    private func page(_ status: Int, _ texts: Texts, _ parts: [String]) -> ServedAnswer {
        let title = Self.escaped(texts("acknowledge.title"))
        let html = """
            <!doctype html>
            <html lang="\(texts.language == "zh" ? "zh-CN" : "en")">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="robots" content="noindex">
            <title>\(title) · Millrace</title>
            <link rel="icon" href="/icon.svg" type="image/svg+xml">
            <link rel="stylesheet" href="/style.css">
            </head>
            <body class="signed-out">
            <main class="login acknowledge">
            <h1>\(title)</h1>
            \(parts.joined(separator: "\n"))
            </main>
            </body>
            </html>

            """
        var headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
        if status == 503 { headers.append(("Retry-After", "5")) }
        return ServedAnswer(status, headers: headers, body: Array(html.utf8))
    }

    private static func element(
        _ name: String, _ text: String, class kind: String? = nil, role: String? = nil
    ) -> String {
        let attributes = (kind.map { " class=\"\($0)\"" } ?? "") + (role.map { " role=\"\($0)\"" } ?? "")
        return "<\(name)\(attributes)>\(escaped(text))</\(name)>"
    }

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
