import Base
import Dataflow
import Records

/// The raised alerts of one rule in one of the sets that are compared.
struct BacktestAlerts {
    struct Alert {
        var id: String
        var customer: String
        /// Milliseconds.
        var time: Int64
        var message: String
    }

    private(set) var alerts: [Alert] = []
    private(set) var cleared = 0

    mutating func raise(_ alert: Alert) { alerts.append(alert) }
    mutating func clear() { cleared += 1 }

    var customers: Set<String> { Set(alerts.map(\.customer)) }

    /// Alerts of each day, by its number since 1970 UTC.
    var days: [Int64: Int] { alerts.reduce(into: [:]) { $0[$1.time.quotientDown(by: 86_400_000), default: 0] += 1 } }
}

extension Int64 {
    func quotientDown(by divisor: Int64) -> Int64 { (self >= 0 ? self : self - divisor + 1) / divisor }
}

/// Takes the alerts of a run as they are published, by the rule's name in the run.
struct BacktestTally {
    private(set) var byRule: [String: BacktestAlerts] = [:]
    /// Event times that count, milliseconds.
    let period: Range<Int64>

    init(period: Range<Int64>) { self.period = period }

    mutating func take(_ outbox: borrowing Outbox) {
        for record in outbox.records {
            guard case .sink = record.destination, let value = outbox.value(of: record) else { continue }
            take(String(decoding: value, as: UTF8.self))
        }
    }

    private mutating func take(_ json: String) {
        guard let rule = Self.member(json, "rule"), let id = Self.member(json, "alert_id"),
            let time = Self.member(json, "event_time").flatMap({ CivilTime.parse($0)?.milliseconds }), period.contains(time)
        else { return }
        guard json.contains("\"state\":\"raised\"") else {
            byRule[rule, default: BacktestAlerts()].clear()
            return
        }
        byRule[rule, default: BacktestAlerts()].raise(
            BacktestAlerts.Alert(
                id: id, customer: Self.member(json, "customer") ?? "", time: time, message: Self.member(json, "message") ?? ""))
    }

    /// The text of the first member of a name, as this program writes alerts.
    private static func member(_ json: String, _ name: String) -> String? {
        guard let start = json.utf8.firstRange(of: Array("\"\(name)\":\"".utf8)) else { return nil }
        var end = start.upperBound
        let bytes = json.utf8
        while end < bytes.endIndex, bytes[end] != UInt8(ascii: "\"") {
            if bytes[end] == UInt8(ascii: "\\") { end = bytes.index(after: end) }
            end = bytes.index(after: end)
        }
        return String(json[start.upperBound..<end])
    }
}
