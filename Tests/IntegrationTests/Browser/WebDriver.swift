import Base
import Foundation
import Http

/// Chromium, driven by chromedriver over plain HTTP as W3C WebDriver has it; ends with this object.
final class WebDriver {
    enum Key: String {
        case tab = "\u{E004}"
        case enter = "\u{E007}"
        case escape = "\u{E00C}"
        case left = "\u{E012}"
        case right = "\u{E014}"
    }

    private static let places = ["/usr/bin", "/usr/local/bin", "/usr/lib/chromium"]
    private static func find(_ names: [String]) -> String? {
        names.lazy.flatMap { name in places.map { "\($0)/\(name)" } }.first { access($0, X_OK) == 0 }
    }
    private static let driver = find(["chromedriver"])
    private static let browser = find(["chromium", "chromium-browser", "google-chrome"])
    static let isAvailable = driver != nil && browser != nil

    private let process: Child
    private let client: HttpClient
    private let base: String
    private var session = ""

    /// A browser whose window is `width` pixels wide and which prefers `language`.
    init(width: Int, language: String) throws {
        guard let driver = Self.driver, let browser = Self.browser else {
            throw Fault(.external, "no chromium or chromedriver")
        }
        client = try HttpClient(timeoutMilliseconds: 60_000)
        let port = KafkaCluster.freePort(brokers: 1)
        base = "http://127.0.0.1:\(port)"
        process = try Child([driver, "--port=\(port)"])
        try until("chromedriver answers") {
            (try? self.client.send(HttpRequest("GET", self.base + "/status")).status) == 200
        }
        let options: [String: Any] = [
            "binary": browser,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--lang=\(language)",
                "--window-size=\(width),900",
            ],
            "prefs": ["intl.accept_languages": language],
        ]
        let wanted: [String: Any] = [
            "goog:chromeOptions": options, "goog:loggingPrefs": ["browser": "ALL", "performance": "ALL"],
        ]
        let made = try call("POST", "/session", ["capabilities": ["alwaysMatch": wanted]]) as? [String: Any]
        guard let id = made?["sessionId"] as? String else {
            throw Fault(.external, "chromedriver made no session")
        }
        session = "/session/\(id)"
        try setWidth(width)
    }

    /// A window cannot be narrower than 500 pixels; what the page sees can.
    func setWidth(_ width: Int) throws {
        try command(
            "Emulation.setDeviceMetricsOverride",
            ["width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false])
    }

    deinit {
        if !session.isEmpty { _ = try? call("DELETE", session, nil) }
        process.kill()
    }

    @discardableResult
    private func call(_ method: String, _ path: String, _ body: Any?) throws -> Any? {
        let bytes = try body.map { Array(try JSONSerialization.data(withJSONObject: $0)) }
        let answer = try client.send(
            HttpRequest(method, base + path, headers: ["Content-Type: application/json"], body: bytes))
        let object = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
        guard answer.status == 200 else {
            let value = object?["value"] as? [String: Any]
            throw Fault(
                .external, "webdriver \(path): \(value?["message"] as? String ?? "status \(answer.status)")")
        }
        return object?["value"]
    }

    private func command(_ name: String, _ parameters: [String: Any]) throws {
        try call("POST", "\(session)/goog/cdp/execute", ["cmd": name, "params": parameters])
    }

    /// Opens a page of a server that may only just have been started.
    func reach(_ address: String, _ otherwise: () -> String) throws {
        // Asked for beside the browser, which notes a server that is not there as an error of the page.
        do {
            try until("an answer", seconds: 60) { (try? client.send(HttpRequest("GET", address))) != nil }
        } catch { throw Fault(.external, otherwise()) }
        try go(address)
        try wait("document.title.length > 0")
    }

    func go(_ address: String) throws { try call("POST", "\(session)/url", ["url": address]) }

    /// What an expression of JavaScript is in the page.
    func value(_ expression: String) throws -> Any? {
        try call(
            "POST", "\(session)/execute/sync", ["script": "return (\(expression))", "args": [] as [Any]])
    }

    /// Statements that begin something; what they wait for goes on in the page.
    func run(_ statements: String) throws {
        try call("POST", "\(session)/execute/sync", ["script": statements, "args": [] as [Any]])
    }

    /// Statements that run in each page before its own.
    func beforeEachPage(_ statements: String) throws {
        try command("Page.addScriptToEvaluateOnNewDocument", ["source": statements])
    }

    func text(_ expression: String) throws -> String { try value("String(\(expression))") as? String ?? "" }

    func holds(_ expression: String) throws -> Bool { try value("Boolean(\(expression))") as? Bool ?? false }

    /// Waits until an expression is true; throws with what the page shows instead.
    func wait(_ expression: String, seconds: Double = 20) throws {
        do { try until(expression, seconds: seconds) { try self.holds(expression) } } catch {
            let shown = try text("document.body.innerText.slice(0, 600)")
            throw Fault(.external, "\(expression) did not come true; the page shows: \(shown)")
        }
    }

    private func until(_ what: String, seconds: Double = 20, _ condition: () throws -> Bool) throws {
        let end = Date().addingTimeInterval(seconds)
        while Date() < end {
            if try condition() { return }
            usleep(50_000)
        }
        throw Fault(.external, "timed out: \(what)")
    }

    func press(_ key: Key) throws { try type(key.rawValue) }

    /// Keys one after the other, as a keyboard sends them to what has the focus.
    func type(_ text: String) throws {
        let actions = text.map(String.init).flatMap {
            [["type": "keyDown", "value": $0], ["type": "keyUp", "value": $0]]
        }
        try call(
            "POST", "\(session)/actions",
            ["actions": [["type": "key", "id": "keyboard", "actions": actions]]])
    }

    /// Tabs on until an expression over `document.activeElement` is true; throws after 60 stops.
    func tab(to expression: String) throws {
        for _ in 0..<60 {
            if try holds(expression) { return }
            try press(.tab)
        }
        throw Fault(.external, "the Tab key does not come to: \(expression)")
    }

    func screenshot(_ path: String) throws {
        let picture = try call("GET", "\(session)/screenshot", nil) as? String ?? ""
        try Data(base64Encoded: picture)?.write(to: URL(fileURLWithPath: path))
    }

    /// Errors that the console of the browser was told of since the last call.
    func errors() throws -> [String] {
        let entries = try call("POST", "\(session)/se/log", ["type": "browser"]) as? [[String: Any]] ?? []
        return entries.filter { $0["level"] as? String == "SEVERE" }.map { $0["message"] as? String ?? "" }
    }

    /// Addresses that were asked for since the last call, with the bytes that each took on the line.
    func requests() throws -> [(url: String, bytes: Int)] {
        let entries = try call("POST", "\(session)/se/log", ["type": "performance"]) as? [[String: Any]] ?? []
        var urls: [String: String] = [:]
        var bytes: [String: Int] = [:]
        for entry in entries {
            guard let text = entry["message"] as? String,
                let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
                let message = object["message"] as? [String: Any],
                let parameters = message["params"] as? [String: Any],
                let id = parameters["requestId"] as? String
            else { continue }
            switch message["method"] as? String {
            case "Network.requestWillBeSent":
                urls[id] = (parameters["request"] as? [String: Any])?["url"] as? String
            case "Network.loadingFinished":
                bytes[id] = (parameters["encodedDataLength"] as? NSNumber)?.intValue
            default: break
            }
        }
        return urls.map { ($0.value, bytes[$0.key] ?? 0) }
    }
}
